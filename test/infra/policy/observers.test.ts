import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { decideBuiltIn } from '../../../infra/policy/built-in.ts';
import { createPolicyMetrics } from '../../../infra/policy/observers.ts';
import { refuse } from '../../../infra/policy/refusal.ts';
import { aRequest } from './requests.ts';

test('decisions are counted by action, verdict and engine, and failures apart', async () => {
  const registry = new Registry();
  const observe = createPolicyMetrics(registry);
  const request = aRequest();
  observe(request, decideBuiltIn(request), 0.05);
  observe(request, decideBuiltIn(request), 2);
  observe(request, refuse('It is away.', { engine: 'opa', version: 3 }), 1_000);
  const text = await registry.metrics();
  const name = 'rookery_policy_decisions_total';
  expect(text).toContain(`${name}{action="agent.prompt",verdict="ask",engine="built-in"} 2`);
  expect(text).toContain(`${name}{action="agent.prompt",verdict="failed",engine="opa"} 1`);
  // There before the first, so that a rate can be taken from it.
  expect(text).toContain(`${name}{action="chat.post",verdict="allow",engine="built-in"} 0`);
  expect(text).toMatch(/duration_seconds_bucket\{le="0\.0001",action="agent\.prompt".*\} 1/);
  expect(text).not.toContain(request.subject);
});
