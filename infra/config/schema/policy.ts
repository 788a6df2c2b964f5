import * as z from 'zod';
import { integer, oneOf, secretReference, settings, textOr } from '../setting.ts';

/** `/`-separated names: `rookery/decision` is the rule `decision` of the package `rookery`. */
export const OPA_PATH = /^[A-Za-z_][A-Za-z0-9_]*(?:\/[A-Za-z_][A-Za-z0-9_]*)*$/;

const opa = z.strictObject({
  url: z
    .url({ protocol: /^https?$/, error: 'expected https://host:port' })
    .nullable()
    .default(null)
    .register(settings, {
      form: 'text',
      env: 'ROOKERY_POLICY_OPA_URL',
      about: 'OPA server that workspaces may have their policy decided by. Not set: there is none.',
    }),
  path: textOr('rookery/decision', {
    env: 'ROOKERY_POLICY_OPA_PATH',
    about: 'Which of its documents decides, where a version names none.',
  }),
  timeoutMs: integer(
    // The gate waits five seconds for a policy, whichever engine it has.
    { min: 50, max: 4_000, fallback: 1_000 },
    {
      env: 'ROOKERY_POLICY_OPA_TIMEOUT_MS',
      about: 'What it has not answered by then is denied.',
    },
  ),
  token: secretReference.nullable().default(null).register(settings, {
    form: 'text',
    quiet: true,
    env: 'ROOKERY_POLICY_OPA_TOKEN',
    about: 'Where the bearer token for it is found. Not set: none is sent.',
  }),
});

export const policy = z.strictObject({
  recordedRequests: integer(
    { min: 0, max: 50_000, fallback: 1_000 },
    {
      env: 'ROOKERY_POLICY_RECORDED_REQUESTS',
      about: 'How many of its latest requests a workspace keeps, to try new versions on. 0: none.',
    },
  ),
  recordedText: oneOf(['masked', 'none'], 'masked', {
    env: 'ROOKERY_POLICY_RECORDED_TEXT',
    about:
      'What those keep of commands and posts: up to 2,000 characters without secrets (masked), or only a digest (none).',
  }),
  opa,
});
