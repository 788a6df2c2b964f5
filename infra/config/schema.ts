import * as z from 'zod';
import { admin } from './schema/admin.ts';
import { agents } from './schema/agents.ts';
import { approvals } from './schema/approvals.ts';
import { budgets } from './schema/budgets.ts';
import { checkpoints } from './schema/checkpoints.ts';
import { access, documents } from './schema/documents.ts';
import { connectors } from './schema/connectors.ts';
import { egress } from './schema/egress.ts';
import { host } from './schema/host.ts';
import { hosting } from './schema/hosting.ts';
import { listen } from './schema/listen.ts';
import { models } from './schema/models.ts';
import { oidc } from './schema/oidc.ts';
import { policy } from './schema/policy.ts';
import { quotas, retention } from './schema/retention.ts';
import { secrets } from './schema/secrets.ts';
import { log, metrics, telemetry } from './schema/telemetry.ts';
import { temporal } from './schema/temporal.ts';
import { webhooks } from './schema/webhooks.ts';
import { workers } from './schema/workers.ts';
import { settings, text } from './setting.ts';

/** Every setting. A group of them is a file of `schema/`. */
export const ConfigSchema = z.strictObject({
  dataDir: text({
    env: 'ROOKERY_DATA_DIR',
    about: 'Where everything that must survive lives. Relative to the working directory.',
    defaultText: './.rookery',
  }),
  cacheDir: text({
    env: 'ROOKERY_CACHE_DIR',
    about: 'What can be fetched or built again, such as the temporal binary.',
    defaultText: '$XDG_CACHE_HOME/rookery or ~/.cache/rookery',
  }),
  databaseUrl: z
    .url({ protocol: /^postgres(?:ql)?$/, error: 'expected postgres://user:password@host/name' })
    .nullable()
    .default(null)
    .register(settings, {
      form: 'text',
      env: 'DATABASE_URL',
      secret: true,
      about: 'PostgreSQL to use. Not set: the embedded one is started.',
    }),
  listen,
  admin,
  temporal,
  workers,
  host,
  hosting,
  agents,
  budgets,
  approvals,
  policy,
  oidc,
  access,
  documents,
  checkpoints,
  retention,
  quotas,
  log,
  telemetry,
  metrics,
  secrets,
  egress,
  webhooks,
  connectors,
  models,
});
