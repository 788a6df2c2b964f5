import { Counter, Histogram, type Registry } from 'prom-client';
import {
  POLICY_ACTIONS,
  POLICY_VERDICTS,
  type PolicyDecision,
  type PolicyRequest,
} from '../../domain/policy.ts';

/** Is told of each decision, after it was made. What one throws is nobody's trouble but its own. */
export type PolicyObserver = (
  request: PolicyRequest,
  decision: PolicyDecision,
  tookMs: number,
) => void;

/** From a decision in this process to one that an OPA server took its time for. */
const BUCKETS_SECONDS = [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.005, 0.025, 0.1, 0.5, 1, 5];

/** Decisions by action and verdict. */
export function createPolicyMetrics(registry: Registry): PolicyObserver {
  const registers = [registry];
  const decisions = new Counter({
    name: 'rookery_policy_decisions_total',
    help: 'Decisions by action, verdict and engine; those by the rule error are counted as failed.',
    labelNames: ['action', 'verdict', 'engine'],
    registers,
  });
  const durations = new Histogram({
    name: 'rookery_policy_decision_duration_seconds',
    help: 'Time from the question to the decision.',
    labelNames: ['action', 'engine'],
    buckets: BUCKETS_SECONDS,
    registers,
  });
  for (const action of POLICY_ACTIONS)
    for (const verdict of POLICY_VERDICTS)
      decisions.inc({ action, verdict, engine: 'built-in' }, 0);
  return ({ action }, { verdict, rule, engine }, tookMs) => {
    decisions.inc({ action, verdict: rule === 'error' ? 'failed' : verdict, engine });
    durations.observe({ action, engine }, tookMs / 1_000);
  };
}
