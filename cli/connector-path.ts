import { isId } from '../domain/id.ts';
import { CliError } from './exit.ts';

export function connectorPath(id: string): string {
  if (isId('connector', id)) return `/v1/connectors/${id}`;
  throw notAnId('connector', 'con');
}

/** Not repeated in the message: it may be a secret, typed by mistake. */
export function notAnId(kind: string, prefix: string): CliError {
  return new CliError(
    'usage',
    `Not the id of a ${kind}: it looks like ${prefix}_ and 26 characters.`,
    {
      hint: 'See `rookery connector list`.',
    },
  );
}
