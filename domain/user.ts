/** By what a person is recognised, besides API keys: always something that nobody can choose for himself. */
export const IDENTITY_KINDS = ['oidc', 'certificate', 'telegram', 'discord'] as const;
export type IdentityKind = (typeof IDENTITY_KINDS)[number];
