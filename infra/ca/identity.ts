import { isId, type UserId } from '../../domain/id.ts';

const PREFIX = 'urn:rookery:user:';

/** What a client certificate says who somebody is, and nothing else in it does. */
export function uriOfUser(userId: string): string {
  return `${PREFIX}${userId}`;
}

/** Of a certificate's alternative names as Node prints them. Null unless there is exactly one, of our form. */
export function userInAltName(altName: string | undefined): UserId | null {
  const uri = altName?.startsWith('URI:') === true ? altName.slice('URI:'.length) : '';
  const id = uri.startsWith(PREFIX) ? uri.slice(PREFIX.length) : '';
  return isId('user', id) ? id : null;
}
