import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { ConfigSchema } from '../../../infra/config/schema.ts';
import { createCedar } from '../../../infra/policy/cedar-instance.ts';
import { readCedar } from '../../../infra/policy/cedar-read.ts';

const DOCS = join(import.meta.dirname, '..', '..', '..', 'docs');

async function examples(file: string, language: string): Promise<readonly string[]> {
  const text = await readFile(join(DOCS, file), 'utf8');
  const blocks = text.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms'));
  return Array.from(blocks, ([, block = '']) => block);
}

test('the policies of the manual are good', async () => {
  const texts = await examples('policy.md', 'cedar');
  expect(texts).toHaveLength(1);
  for (const text of texts) {
    const { rules, problems } = readCedar(createCedar(), text);
    expect(problems).toEqual([]);
    expect(rules.map(({ id, verdict }) => `${id}: ${verdict}`)).toEqual([
      'no-rm: deny',
      'reading-is-fine: allow',
      'posts-are-asked: ask',
      'operators-spawn: allow',
    ]);
  }
});

test.each([
  ['policy.md', 1],
  ['oidc.md', 2],
])('the settings of %s are good', async (file, count) => {
  const texts = await examples(file, 'yaml');
  expect(texts).toHaveLength(count);
  for (const text of texts) {
    const given: unknown = parse(text);
    const { policy, oidc } = ConfigSchema.pick({ policy: true, oidc: true }).partial().parse(given);
    expect(policy ?? oidc).toBeDefined();
  }
});
