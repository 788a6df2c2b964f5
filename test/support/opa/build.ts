import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { OPA_FOLDER } from './folder.ts';

// `node test/support/opa/build.ts`: builds OPA from the pinned module, once; about two minutes on two cores. Without it
// the tests of OPA ask a server of our own that answers as OPA does.
mkdirSync(OPA_FOLDER, { recursive: true });
const { status } = spawnSync(
  'go',
  [
    'build',
    '-mod=readonly',
    '-trimpath',
    '-ldflags',
    '-s -w',
    '-o',
    join(OPA_FOLDER, 'opa'),
    'github.com/open-policy-agent/opa',
  ],
  {
    cwd: import.meta.dirname,
    env: { ...process.env, CGO_ENABLED: '0', GOWORK: 'off' },
    stdio: 'inherit',
  },
);
process.exitCode = status ?? 1;
