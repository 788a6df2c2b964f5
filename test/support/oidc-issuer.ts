import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWTPayload } from 'jose';
import { Provider } from 'oidc-provider';

export const AUDIENCE = 'https://rookery.test/api';
const CLIENT = { client_id: 'ada', client_secret: 'not-a-secret-of-anybody' };

type Handle = (incoming: IncomingMessage, outgoing: ServerResponse) => void;

const unavailable: Handle = (_incoming, outgoing) => void outgoing.writeHead(503).end();

/** Tokens that are JWTs need no memory of the issuer. */
const keepNothing = () => ({
  upsert: () => Promise.resolve(),
  find: () => Promise.resolve(),
  destroy: () => Promise.resolve(),
});

interface Key {
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
}

export interface TestIssuer {
  /** Its name, as tokens have it. */
  readonly issuer: string;
  /** A token that the issuer itself gives, for the subject `ada`. */
  token(): Promise<string>;
  /** A token signed with the issuer's key, with claims of the test's choice. */
  sign(claims?: JWTPayload, header?: { readonly kid?: string }): Promise<string>;
  /** New keys; what was signed with the old ones is signed by nobody any more. */
  rotate(): Promise<void>;
  /** How often its keys were asked for. */
  readonly keyRequests: () => number;
  readonly publicKey: () => CryptoKey;
  stop(): Promise<void>;
}

/** A real issuer on this machine: discovery, keys, and access tokens as JWTs. */
export async function startIssuer(): Promise<TestIssuer> {
  let handle: Handle = unavailable;
  let keyRequests = 0;
  const server = createServer((incoming, outgoing) => {
    if (incoming.url === '/jwks') keyRequests += 1;
    handle(incoming, outgoing);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('The issuer has no port.');
  const issuer = `http://127.0.0.1:${address.port}`;

  let key = await firstKey;
  const serve = async (): Promise<void> => {
    const jwk = { ...(await exportJWK(key.privateKey)), kid: key.kid, alg: 'RS256', use: 'sig' };
    const provider = new Provider(issuer, {
      clients: [
        { ...CLIENT, grant_types: ['client_credentials'], redirect_uris: [], response_types: [] },
      ],
      adapter: keepNothing,
      ttl: { ClientCredentials: 600 },
      jwks: { keys: [jwk] },
      features: {
        clientCredentials: { enabled: true },
        devInteractions: { enabled: false },
        resourceIndicators: {
          enabled: true,
          defaultResource: () => AUDIENCE,
          getResourceServerInfo: () => ({
            scope: 'rookery',
            audience: AUDIENCE,
            accessTokenFormat: 'jwt',
            accessTokenTTL: 600,
            jwt: { sign: { alg: 'RS256' } },
          }),
        },
      },
    });
    const callback = provider.callback();
    handle = (incoming, outgoing) => void callback(incoming, outgoing);
  };
  await serve();
  return {
    issuer,
    async token() {
      const answer = await fetch(`${issuer}/token`, {
        method: 'POST',
        headers: {
          authorization: `Basic ${btoa(`${CLIENT.client_id}:${CLIENT.client_secret}`)}`,
          'content-type': 'application/x-www-form-urlencoded',
        },
        body: 'grant_type=client_credentials&scope=rookery',
      });
      const body: unknown = await answer.json();
      return String(Object(body).access_token);
    },
    sign: (claims = {}, { kid = key.kid } = {}) =>
      new SignJWT({ iss: issuer, aud: AUDIENCE, sub: 'ada', ...claims })
        .setProtectedHeader({ alg: 'RS256', kid })
        .sign(key.privateKey),
    async rotate() {
      key = await makeKey(`key-${crypto.randomUUID()}`);
      await serve();
    },
    keyRequests: () => keyRequests,
    publicKey: () => key.publicKey,
    async stop() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Made once: an RSA key takes a third of a second. */
const firstKey = makeKey('key-1');

async function makeKey(kid: string): Promise<Key> {
  return { kid, ...(await generateKeyPair('RS256', { extractable: true })) };
}
