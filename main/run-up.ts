import { styleText } from 'node:util';
import { installTemporalRuntime } from '../infra/temporal/runtime.ts';
import { configOf, type ConfigFlags } from './flags.ts';
import { createLog } from './log.ts';
import { makeDataDir, pathsIn } from './paths.ts';
import { createProgress, since } from './progress.ts';
import { untilStopped } from './signals.ts';
import { up, type RunningRookery } from './up.ts';

/** `rookery up`: everything, until a signal. */
export async function runUp(flags: ConfigFlags): Promise<void> {
  const config = configOf(flags);
  const startedAt = performance.now();
  makeDataDir(config.dataDir);
  const logFile = `${pathsIn(config.dataDir).log}/rookery.log`;
  const log = createLog(config, logFile);
  installTemporalRuntime(log);
  const progress = createProgress(process.stdout);
  progress.note(styleText('bold', 'Rookery is starting'));
  const stopped = untilStopped();
  const rookery = await up({ config, env: process.env, log, progress });
  progress.note(`\nUp in ${since(startedAt)}. Log: ${logFile}`);
  progress.note(addresses(rookery));
  progress.note('\nCtrl-C stops everything in order.');
  await Promise.race([stopped, rookery.failed]);
  const stoppedAt = performance.now();
  progress.note('\nStopping: api, workers, sessions, Temporal, database …');
  await rookery.stop();
  progress.note(`Stopped in ${since(stoppedAt)}.`);
}

function addresses(rookery: RunningRookery): string {
  const { url, adminUrl, temporalUiUrl, newApiKey, enrolmentSecret } = rookery;
  const forWhom = adminUrl.startsWith('https:') ? 'with a certificate' : 'from this machine only';
  const rows = [
    `  API          ${url}/v1 (${url}/v1/openapi.json)`,
    `  Panel        ${url}/ (\`rookery panel\` prints a link that signs you in)`,
    `  Admin        ${adminUrl} (${forWhom})`,
    ...(temporalUiUrl === null ? [] : [`  Temporal UI  ${temporalUiUrl}`]),
    ...(newApiKey === null
      ? []
      : [
          `  API key      ${styleText('bold', newApiKey)}`,
          '               Shown once. `rookery` finds it by itself in this folder.',
        ]),
    ...(enrolmentSecret === null
      ? []
      : [
          `  Enrol        ${styleText('bold', `rookery enrol ${url} ${enrolmentSecret}`)}`,
          '               Makes you the overlord. Good once, for ten minutes; `rookery enrol-secret` makes another.',
        ]),
    `  Try          npx rookery spawn gemini --task 'List the files here' --wait`,
  ];
  return rows.join('\n');
}
