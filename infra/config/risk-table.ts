import { DEFAULT_RISKS, type RiskTable, type RiskTerms } from '../../domain/risk.ts';
import type { Config } from './config.ts';

type Given = Config['approvals'];

/** The table that the gate and approvals go by, with what was not configured filled in. */
export function riskTableOf(approvals: Given): RiskTable {
  const { risks, standingHighRisk, standingDays, standingDaysMax } = approvals;
  const { terms } = DEFAULT_RISKS;
  return {
    rules: risks.rules ?? [],
    terms: {
      low: filled(terms.low, risks.low),
      medium: filled(terms.medium, risks.medium),
      high: filled(terms.high, risks.high),
    },
    standing: {
      highRisk: standingHighRisk === 'allowed',
      days: Math.min(standingDays, standingDaysMax),
      daysMax: standingDaysMax,
    },
  };
}

function filled(usual: RiskTerms, given: Given['risks']['low'] = {}): RiskTerms {
  return {
    role: given.role ?? usual.role,
    quorum: given.quorum ?? null,
    remindAfterMs: given.remindAfterMs ?? null,
    escalateAfterMs: given.escalateAfterMs ?? null,
    expireAfterMs: given.expireAfterMs ?? null,
  };
}
