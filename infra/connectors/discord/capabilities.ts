import type { ConnectorCapabilities } from '../contract.ts';

/** Of a plain message. */
export const TEXT_MAX = 2_000;

/** Apart from the connector, whose library takes a while to load. */
export const DISCORD_CAPABILITIES: ConnectorCapabilities = {
  textMax: TEXT_MAX,
  edits: true,
  buttons: true,
  forms: true,
  files: true,
  threads: true,
  // For "the past few minutes", Discord says; and not for later answers to one interaction.
  detectsDoubles: true,
};
