import * as z from 'zod';
import { integer, settings } from '../setting.ts';

const POOLS = ['core', 'pty', 'connectors'] as const;

export const workers = z.strictObject({
  pools: z
    .array(z.enum(POOLS))
    .min(1)
    .default(() => [...POOLS])
    .register(settings, {
      form: 'list',
      env: 'ROOKERY_WORKERS_POOLS',
      about: `Pools that \`rookery worker\` runs: ${POOLS.join(', ')}.`,
    }),
  coreActivities: integer(
    { min: 1, max: 1_000, fallback: 40 },
    { env: 'ROOKERY_WORKERS_CORE_ACTIVITIES', about: 'Database activities at once per process.' },
  ),
  coreWorkflowTasks: integer(
    { min: 2, max: 1_000, fallback: 20 },
    { env: 'ROOKERY_WORKERS_CORE_WORKFLOW_TASKS', about: 'Workflow tasks at once per process.' },
  ),
  cachedWorkflows: integer(
    { min: 10, max: 10_000, fallback: 300 },
    {
      env: 'ROOKERY_WORKERS_CACHED_WORKFLOWS',
      about: 'Workflows kept in memory; about 600 fit in 1 GB.',
    },
  ),
  ptyActivities: integer(
    { min: 1, max: 1_000, fallback: 20 },
    { env: 'ROOKERY_WORKERS_PTY_ACTIVITIES', about: 'Terminal activities at once per process.' },
  ),
});
