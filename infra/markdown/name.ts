const NAME_MAX = 100;

/** The name of a file or folder made from what people call something: small letters, digits and dashes, never empty. */
export function plainName(text: string): string {
  const name = text
    .normalize('NFKD')
    .toLowerCase()
    .replaceAll(/\p{M}/gu, '')
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, NAME_MAX)
    .replaceAll(/^-+|-+$/g, '');
  return name === '' ? 'unnamed' : name;
}
