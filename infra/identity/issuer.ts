import type { Config } from '../config/config.ts';

/** Somebody else who says who people are, as the configuration has it. */
export type OidcIssuer = Config['oidc']['issuers'][number];
