import * as z from 'zod';
import { integer } from '../setting.ts';
import { BYTES, DAYS, GIB } from './limits.ts';

function retained(kind: string, fallback: number) {
  return integer(
    { ...DAYS, fallback },
    { env: `ROOKERY_RETENTION_${kind.toUpperCase()}_DAYS`, about: `Days that ${kind} are kept.` },
  );
}

export const retention = z.strictObject({
  eventsDays: retained('events', 90),
  usageDays: retained('usage', 400),
  factsDays: retained('facts', 14),
  recordingsDays: retained('recordings', 30),
  chatsDays: integer(
    { ...DAYS, fallback: 30 },
    {
      env: 'ROOKERY_RETENTION_CHATS_DAYS',
      about:
        'Days that updates and posts of chats are kept after they are done, to know them again.',
    },
  ),
  idempotencyDays: integer(
    { ...DAYS, fallback: 7 },
    {
      env: 'ROOKERY_RETENTION_IDEMPOTENCY_DAYS',
      about: 'Days that a repeated POST finds the first answer.',
    },
  ),
});

function quota(kind: string, fallback: number) {
  return integer(
    { ...BYTES, fallback },
    {
      env: `ROOKERY_QUOTAS_${kind.toUpperCase()}_BYTES`,
      about: `Disk that all ${kind} may use together; the oldest are purged first.`,
    },
  );
}

export const quotas = z.strictObject({
  recordingsBytes: quota('recordings', 20 * GIB),
  journalsBytes: quota('journals', 2 * GIB),
  checkpointsBytes: quota('checkpoints', 10 * GIB),
  backupsBytes: quota('backups', 20 * GIB),
});
