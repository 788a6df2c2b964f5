import * as z from 'zod';
import { integer, secretPattern, settings } from '../setting.ts';

export const connectors = z.strictObject({
  max: integer(
    { min: 1, max: 1_000, fallback: 50 },
    { env: 'ROOKERY_CONNECTORS_MAX', about: 'Bots on chat networks that are run at once.' },
  ),
  placesAtOnce: integer(
    { min: 1, max: 200, fallback: 16 },
    {
      env: 'ROOKERY_CONNECTORS_PLACES_AT_ONCE',
      about: 'Chats and threads of one bot that are served at once; each by itself goes in order.',
    },
  ),
  pollTimeoutMs: integer(
    { min: 1_000, max: 50_000, fallback: 30_000 },
    {
      env: 'ROOKERY_CONNECTORS_POLL_TIMEOUT_MS',
      about:
        'How long a question for news stays open. Shorter where a proxy cuts idle connections.',
    },
  ),
  secretRefs: z
    .array(secretPattern)
    .default(() => ['env:TELEGRAM_*', 'env:DISCORD_*'])
    .register(settings, {
      form: 'list',
      env: 'ROOKERY_CONNECTORS_SECRET_REFS',
      quiet: true,
      about:
        'References that a connector may have as its secret; a * at the end stands for anything. Any other is refused.',
    }),
});
