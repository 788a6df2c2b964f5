import { z } from 'zod';
import { AppError } from '../../../domain/error.ts';

const Root = z
  .url({ protocol: /^https?$/ })
  .max(2_048)
  .transform((url) => url.replace(/\/+$/, ''));

/** What a Telegram connector's row may say in `settings`. */
export const TelegramSettings = z.strictObject({
  /** Of another Bot API server than Telegram's own, such as one that you run. */
  apiRoot: Root.default('https://api.telegram.org'),
  /**
   * Where Telegram reaches this installation from outside, such as https://rookery.example.com: updates are pushed
   * there. Absent: they are asked for.
   */
  webhookUrl: Root.optional(),
});
export type TelegramSettings = z.output<typeof TelegramSettings>;

export function readTelegramSettings(settings: unknown): TelegramSettings {
  const read = TelegramSettings.safeParse(settings);
  if (read.success) return read.data;
  throw new AppError(
    'invalid_input',
    `The settings of this connector are wrong: ${z.prettifyError(read.error)}`,
  );
}
