import { z } from 'zod';
import { ConnectorError } from '../contract.ts';

const Settings = z.strictObject({
  /** Where Discord's API is: its own address but in tests. */
  apiRoot: z
    .url({ protocol: /^https?$/ })
    .default('https://discord.com/api')
    .transform((url) => url.replace(/\/+$/, '')),
});

export type DiscordSettings = z.infer<typeof Settings>;

/** Throws `rejected` where they cannot be used. */
export function readSettings(settings: unknown): DiscordSettings {
  const read = Settings.safeParse(settings ?? {});
  if (read.success) return read.data;
  throw new ConnectorError(
    'rejected',
    `The settings of this connector cannot be used: ${z.prettifyError(read.error)}`,
  );
}
