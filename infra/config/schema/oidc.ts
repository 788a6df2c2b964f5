import * as z from 'zod';
import { ROLES } from '../../../domain/principal.ts';
import { settings } from '../setting.ts';

/** Signatures with a public key. A shared secret is never one: whoever knows the public key could sign with it. */
const TOKEN_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
] as const;

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/** What is fetched from there decides who people are. */
const secureUrl = z.url({ protocol: /^https?$/, error: 'expected https://…' }).refine((text) => {
  const { protocol, hostname } = new URL(text);
  return protocol === 'https:' || LOOPBACK.test(hostname);
}, 'expected https://, since keys are fetched from there; http only on this machine');

/** `claim`, or `realm_access.roles` inside of one, or a whole name with dots or slashes such as https://example.com/roles. */
const Claim = z.string().min(1).max(200);

const PublicKey = z
  .looseObject({ kty: z.enum(['RSA', 'EC', 'OKP'], 'expected a public key: RSA, EC or OKP') })
  .refine((key) => !('d' in key), 'this is a private key; give the public one');

const Jwks = z.union([
  z.strictObject({ url: secureUrl }),
  z.strictObject({ file: z.string().min(1) }),
  z.strictObject({ keys: z.array(PublicKey).min(1).max(100) }),
]);

const Issuer = z.strictObject({
  /** For people, the audit, and who gave a role. */
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,39}$/, 'expected small letters, digits and -'),
  /** As tokens say it, letter for letter. */
  issuer: z.string().min(1).max(500),
  audience: z.union([
    z.string().min(1).max(500),
    z.array(z.string().min(1).max(500)).min(1).max(20),
  ]),
  /** Found by discovery where it is left out. */
  jwks: Jwks.optional(),
  algorithms: z.array(z.enum(TOKEN_ALGORITHMS)).min(1).default(['RS256', 'ES256', 'EdDSA']),
  /** The `typ` of the header, such as at+jwt; any where it is left out. */
  type: z.string().min(1).max(50).optional(),
  /** How far the issuer's clock may be off. */
  clockToleranceS: z.int().min(0).max(300).default(60),
  claims: z
    .strictObject({
      subject: Claim.default('sub'),
      name: Claim.default('name'),
      roles: Claim.default('groups'),
    })
    .prefault({}),
  /** Which values of the claim of roles give which role, everywhere or in one workspace. */
  roles: z
    .array(
      z.strictObject({
        value: z.string().min(1).max(500),
        role: z.enum(ROLES),
        /** Its id or slug; everywhere where it is left out. */
        workspace: z.string().min(1).max(100).optional(),
      }),
    )
    .max(200)
    .default([]),
  /** Whether somebody nobody knows becomes a user, when his token gives him a role. */
  autoProvision: z.boolean().default(false),
});

/** Who else says who people are. */
export const oidc = z.strictObject({
  issuers: z
    .array(Issuer)
    .max(50)
    .superRefine((issuers, context) => {
      for (const [index, issuer] of issuers.entries()) {
        const earlier = issuers.slice(0, index);
        if (earlier.some(({ name }) => name === issuer.name)) {
          context.addIssue({ code: 'custom', path: [index, 'name'], message: 'is there twice' });
        }
        if (earlier.some((other) => other.issuer === issuer.issuer)) {
          context.addIssue({ code: 'custom', path: [index, 'issuer'], message: 'is there twice' });
        }
        if (issuer.jwks === undefined && !secureUrl.safeParse(issuer.issuer).success) {
          const message = 'expected https:// for discovery; or give jwks';
          context.addIssue({ code: 'custom', path: [index, 'issuer'], message });
        }
      }
    })
    .default(() => [])
    .register(settings, {
      form: 'json',
      env: 'ROOKERY_OIDC_ISSUERS',
      about:
        'Issuers whose tokens recognise people, each with name, issuer and audience; see oidc.md.',
      defaultText: 'none',
    }),
});
