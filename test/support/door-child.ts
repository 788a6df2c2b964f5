import { pino } from 'pino';
import { createCertificateSignIn } from '../../api/middleware/certificate.ts';
import { createMetrics } from '../../api/metrics.ts';
import { startApi } from '../../api/server.ts';
import type { ApiDeps } from '../../api/deps.ts';
import { openAuthority } from '../../infra/ca/authority.ts';
import { listenForEvents } from '../../infra/db/listen.ts';
import { openDatabase } from '../../infra/db/pool.ts';

/**
 * Run as a program of its own: both listeners on a database and a data directory that another process uses too. Says
 * their addresses and works until it is killed. What it is asked in tests needs neither Temporal nor hosts.
 */
const [url = '', dataDir = ''] = process.argv.slice(2);
const database = openDatabase({ url, name: 'door-child' });
const { db } = database;
const events = await listenForEvents({ url });
const authority = await openAuthority({ dataDir, passphrase: null });
const clock = { now: () => Date.now() };
const parts: Partial<ApiDeps> = {
  db,
  events,
  clock,
  logger: pino({ level: 'silent' }),
  metrics: createMetrics(),
  certificates: createCertificateSignIn({ db, clock }),
  office: { authority, adminUrl: () => 'https://localhost' },
};
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the rest of it is not asked for
const deps = { config: {}, ...parts } as ApiDeps;
const tls = { authority, names: ['localhost', '127.0.0.1'] };
const admin = await startApi(deps, { kind: 'admin', hostname: '127.0.0.1', port: 0, tls });
const outside = await startApi(deps, { kind: 'public', hostname: '127.0.0.1', port: 0 });
process.on('SIGTERM', () => {
  void Promise.all([admin.close(), outside.close(), events.close(), database.close()]).then(() =>
    process.disconnect(),
  );
});
process.send?.({ admin: admin.url, outside: outside.url });
