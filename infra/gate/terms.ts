import type { Risk } from '../../domain/approval.ts';
import type { DecidingRole, RiskTable } from '../../domain/risk.ts';

/** How approvals behave everywhere, as a workflow carries it. */
interface CommonTerms {
  readonly quorum: number;
  readonly remindAfterMs: number;
  readonly escalateAfterMs: number;
  readonly expireAfterMs: number;
}

/** How one approval behaves. */
export interface ApprovalTerms extends CommonTerms {
  readonly role: DecidingRole;
}

/** What the table says of this risk, and what holds everywhere for the rest. */
export function termsOf({ terms }: RiskTable, risk: Risk, common: CommonTerms): ApprovalTerms {
  const own = terms[risk];
  return {
    role: own.role,
    quorum: Math.max(1, own.quorum ?? common.quorum),
    remindAfterMs: own.remindAfterMs ?? common.remindAfterMs,
    escalateAfterMs: own.escalateAfterMs ?? common.escalateAfterMs,
    expireAfterMs: own.expireAfterMs ?? common.expireAfterMs,
  };
}
