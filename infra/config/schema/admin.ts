import * as z from 'zod';
import { integer, list, oneOf, secretReference, settings, textOr } from '../setting.ts';
import { PORT } from './limits.ts';

/** No setting: without client certificates, being on this machine is what guards the admin listener, besides its keys. */
export const ADMIN_HOST = '127.0.0.1';

export const admin = z.strictObject({
  port: integer(
    { ...PORT, min: 0, fallback: 7601 },
    {
      env: 'ROOKERY_ADMIN_PORT',
      about:
        'Port of the admin listener without certificates, always on 127.0.0.1; 0 takes a free one. There is none with admin.mtls on.',
    },
  ),
  mtls: oneOf(['off', 'on'], 'off', {
    env: 'ROOKERY_ADMIN_MTLS',
    about:
      'on: keys, settings and the like are reached with a client certificate only, over TLS 1.3. off: from this machine, with an API key.',
  }),
  host: textOr('127.0.0.1', {
    env: 'ROOKERY_ADMIN_HOST',
    about: 'Address the admin listener takes with admin.mtls on.',
  }),
  tlsPort: integer(
    { ...PORT, min: 0, fallback: 7602 },
    {
      env: 'ROOKERY_ADMIN_TLS_PORT',
      about: 'Port of the admin listener with admin.mtls on; 0 takes a free one.',
    },
  ),
  names: list([], {
    env: 'ROOKERY_ADMIN_NAMES',
    about:
      'Host names and addresses the admin listener is asked by, besides localhost; the first is what is told to those who enrol.',
  }),
  caPassphrase: secretReference.nullable().default(null).register(settings, {
    form: 'text',
    env: 'ROOKERY_ADMIN_CA_PASSPHRASE',
    quiet: true,
    about:
      'Where the passphrase is found that seals the key of the internal CA, at least 15 characters. Not set: a file of mode 0600.',
  }),
});
