import type { ConnectorCapabilities } from '../contract.ts';

/** In UTF-16 units, without markup. */
export const TEXT_MAX = 4_096;

/** Apart from the connector, whose library takes a while to load. */
export const TELEGRAM_CAPABILITIES: ConnectorCapabilities = {
  textMax: TEXT_MAX,
  edits: true,
  buttons: true,
  forms: false,
  files: true,
  threads: true,
  // The Bot API has no key of a message: what was sent twice is there twice.
  detectsDoubles: false,
};
