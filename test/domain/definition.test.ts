import { expect, test } from 'vitest';
import { parseReference, specOfDefinition } from '../../domain/definition.ts';
import { capabilitiesOf } from '../../domain/registry.ts';
import { DefinitionContentSchema } from '../../domain/schema/definition.ts';
import { LabelSelector } from '../../domain/schema/label.ts';
import { SpawnRequestSchema } from '../../domain/schema/spawn.ts';

test.each([
  ['reviewer', { slug: 'reviewer', version: null }],
  ['reviewer@3', { slug: 'reviewer', version: 3 }],
  ['reviewer@', null],
  ['reviewer@0', null],
  ['reviewer@03', null],
  ['reviewer@1.5', null],
  ['Reviewer', null],
  ['-x', null],
  ['', null],
])('%j names %j', (text, reference) => {
  expect(parseReference(text)).toEqual(reference);
});

const content = DefinitionContentSchema.parse({ type: 'claude', prompt: 'Review.' });

function taskOf(request: object, of = content) {
  const result = specOfDefinition(of, SpawnRequestSchema.parse({ definition: 'd', ...request }));
  return result.kind === 'spec' ? result.spec.task : result;
}

test('prompt and task are one message, and either may be missing', () => {
  expect(taskOf({ task: 'a.ts' })).toBe('Review.\n\na.ts');
  expect(taskOf({})).toBe('Review.');
  const silent = DefinitionContentSchema.parse({ type: 'claude' });
  expect(taskOf({ task: 'a.ts' }, silent)).toBe('a.ts');
  expect(taskOf({}, silent)).toBeUndefined();
});

test('every field of a spawn is either taken, held to what the definition says, or refused', () => {
  const values = {
    type: 'codex',
    command: ['-x'],
    env: { A: 'b' },
    secretRefs: { A: 'env:A' },
    model: 'm',
    egressAllow: ['a.example'],
    tools: ['a'],
    hosting: { mode: 'local' },
    grants: ['read:documents'],
    models: ['m'],
    memory: false,
  };
  for (const [field, value] of Object.entries(values)) {
    const request = SpawnRequestSchema.parse({ definition: 'd', [field]: value });
    expect(specOfDefinition(content, request)).toMatchObject({ kind: 'refused', field });
  }
  // One that is added to a spawn must be decided about here.
  const decided = [
    'task',
    'workDir',
    'cols',
    'rows',
    'limits',
    'labels',
    'count',
    'name',
    'definition',
  ];
  expect(Object.keys(SpawnRequestSchema.shape).toSorted()).toEqual(
    [...Object.keys(values), ...decided].toSorted(),
  );
});

test('an agent can what its type and its birth give', () => {
  const born = { model: 'sonnet', tools: ['documents_read'], grants: ['read:documents'] };
  expect(capabilitiesOf({ type: 'claude', ...born })).toEqual([
    'grant:read:documents',
    'mcp',
    'model:sonnet',
    'terminal',
    'tool:documents_read',
  ]);
  expect(capabilitiesOf({ type: 'aider', ...born })).toEqual(['model:sonnet', 'terminal']);
});

test('a selector is pairs of labels, and nothing else', () => {
  expect(LabelSelector.parse('team=core, env=prod')).toEqual({ team: 'core', env: 'prod' });
  expect(LabelSelector.parse('team=')).toEqual({ team: '' });
  for (const bad of ['', 'team', '=x', 'a=b=c', 'a=b,,c=d', 'a=ü', 'a=b,a=c', '__proto__=x']) {
    expect([bad, LabelSelector.safeParse(bad).success]).toEqual([bad, false]);
  }
});
