/** What stands where a secret was. */
export const CENSOR = '[redacted]';

/** Names that hold secrets wherever they appear, up to three levels deep; for pino's `redact.paths`. */
const NAMES = [
  'authorization',
  'cookie',
  'apiKey',
  'api_key',
  'password',
  'secret',
  'token',
  'accessToken',
  'refreshToken',
  'sealed',
  'proof',
  'databaseUrl',
] as const;

export const REDACT_PATHS: readonly string[] = NAMES.flatMap((name) => [
  name,
  `*.${name}`,
  `*.*.${name}`,
]);

/** Shorter ones would blank harmless text, and are no secrets. */
const VALUE_LENGTH_MIN = 6;

/** Shapes of well-known keys, and a password in a URL. The groups are kept, the rest is replaced. */
const SHAPES: readonly RegExp[] = [
  /\b(sk-)(?:ant-|proj-)?[A-Za-z0-9_-]{16,}/g,
  /\b(AIza)[A-Za-z0-9_-]{30,}/g,
  /\b(gh[pousr]_|github_pat_)[A-Za-z0-9_]{20,}/g,
  /\b(xox[abprs]-)[A-Za-z0-9-]{10,}/g,
  /\b(AKIA|ASIA)[A-Z0-9]{16}\b/g,
  /\b(rkb_)[0-9a-f_]{60,}/g,
  /\b(eyJ)[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}/g,
  /(\b[Bb]earer\s+)[A-Za-z0-9._~+/-]{8,}=*/g,
  /(\b[a-z][a-z0-9+.-]*:\/\/[^\s/:@]*:)[^\s/@]+(?=@)/g,
];

/** Replaces the given values, longest first, and whatever looks like a key. */
export function createRedactor(values: Iterable<string>): (text: string) => string {
  const known = [...new Set(values)]
    .filter((value) => value.length >= VALUE_LENGTH_MIN)
    .sort((left, right) => right.length - left.length);
  return (text) => {
    const without = known.reduce((rest, value) => rest.replaceAll(value, () => CENSOR), text);
    return SHAPES.reduce((rest, shape) => rest.replace(shape, `$1${CENSOR}`), without);
  };
}
