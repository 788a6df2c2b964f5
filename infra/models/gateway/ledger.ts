import { randomUUID } from 'node:crypto';
import type { Kysely } from 'kysely';
import { makeId } from '../../../domain/id.ts';
import type { WorkspaceBudgets } from '../../../domain/limit.ts';
import { NO_TOKENS, type ModelCallFlag, type TokenCounts } from '../../../domain/model.ts';
import {
  BUDGETS,
  budgetWords,
  noteBudgetReached,
  remainingBudget,
  type Budget,
  type BudgetName,
} from '../../db/queries/budget.ts';
import {
  beginModelCall,
  dropModelCall,
  endModelCall,
  holdModelBudget,
  reserveForModelCall,
  reservedByModelCalls,
  type EndedModelCall,
  type NewModelCall,
  type Reserved,
} from '../../db/queries/model-call.ts';
import { lostModelCalls, type ModelCall } from '../../db/queries/model-call-view.ts';
import type { Database, Executor } from '../../db/schema.ts';
import { costOf, type Price, type PriceTable } from './price.ts';
import type { Refusal } from './refusal.ts';
import { estimatedInput, settleTokens } from './settle.ts';

/** What a call is taken to say at most where it names no limit: a long answer of a coding model. */
const OUTPUT_TOKENS_DEFAULT = 8_192;
/** Held against a budget at most, so that one careless request does not keep all others waiting. */
const OUTPUT_TOKENS_RESERVED_MAX = 32_768;
/** A call that is refused for what others hold is worth trying again when one of them may have ended. */
const HELD_RETRY_SECONDS = 5;
/** A process tells of its calls every five seconds; one that missed a dozen of these is gone. */
const SILENT_MS = 60_000;
const LOST_AT_ONCE_MAX = 100;

/** As it ended; what it costs is worked out here. */
export type CountedCall = Omit<EndedModelCall, 'costMicrodollars'>;

export type CallToBegin = Omit<NewModelCall, 'id'> & {
  readonly outputTokensMax: number | null;
};

export type Begun =
  | {
      readonly kind: 'begun';
      readonly row: NewModelCall;
      /** True where some budget holds for it, which is then looked at again when it ends. */
      readonly isLimited: boolean;
      /** Output tokens until a budget is used up; null where nothing limits it. */
      readonly outputTokensLeft: number | null;
    }
  | { readonly kind: 'refused'; readonly refusal: Refusal };

export interface LedgerDeps {
  readonly db: Kysely<Database>;
  readonly prices: PriceTable;
  readonly ceilings: WorkspaceBudgets;
}

/** For so long an agent that no budget limits is not asked about again: a budget that is set holds from then on. */
const UNLIMITED_MS = 500;
const UNLIMITED_MAX = 10_000;

export type Ledger = ReturnType<typeof createLedger>;

/** Every call that costs money, from before it is sent until it is counted. */
export function createLedger({ db, prices, ceilings }: LedgerDeps) {
  const budgetOf = (executor: Executor, agentId: string): Promise<Budget | null> =>
    remainingBudget(executor, { agentId, ceilings });

  /** Lets a call in against what is left, and holds what it may come to until it ends. */
  const admit = (row: NewModelCall, call: CallToBegin, price: Price | null): Promise<Begun> =>
    db.transaction().execute(async (tx) => {
      await holdModelBudget(tx, call.workspaceId);
      const budget = await budgetOf(tx, call.agentId);
      if (budget === null) return gone();
      if (budget.exhausted !== null) return refused(budgetRefusal(budget.exhausted));
      const held = heldBudget(budget, await reservedByModelCalls(tx, call));
      if (held !== null) return refused(heldRefusal(held));
      await reserveForModelCall(tx, { id: row.id, ...reservationOf(call, price) });
      return {
        kind: 'begun',
        row,
        isLimited: true,
        outputTokensLeft: outputTokensLeft(budget, call.requestBytes, price),
      };
    });

  const decide = async (
    row: NewModelCall,
    call: CallToBegin,
    budget: Budget | null,
  ): Promise<Begun> => {
    if (budget === null) return gone();
    if (budget.exhausted !== null) {
      await noteBudgetReached(db, { agentId: call.agentId, budget });
      return refused(budgetRefusal(budget.exhausted));
    }
    const limits = BUDGETS.filter((name) => budget.left[name] !== null);
    if (limits.length === 0)
      return { kind: 'begun', row, isLimited: false, outputTokensLeft: null };
    const price = prices.of(call.model);
    const hasMoneyLimit = limits.some((name) => name.includes('cost'));
    if (price === null && hasMoneyLimit) return refused(unpricedRefusal(call.model));
    return admit(row, call, price);
  };

  const unlimited = createUnlimited();

  return {
    /** Both at once, since nearly every call is let in: the row, and what is left of its budgets. */
    async begin(call: CallToBegin): Promise<Begun> {
      const { outputTokensMax: _most, ...rest } = call;
      const row: NewModelCall = { ...rest, id: makeId('modelCall', randomUUID()) };
      if (unlimited.has(call.agentId)) {
        await beginModelCall(db, row);
        return { kind: 'begun', row, isLimited: false, outputTokensLeft: null };
      }
      const [budget] = await Promise.all([budgetOf(db, call.agentId), beginModelCall(db, row)]);
      const begun = await decide(row, call, budget);
      if (begun.kind === 'begun' && !begun.isLimited) unlimited.add(call.agentId);
      if (begun.kind === 'refused') await dropModelCall(db, row.id);
      return begun;
    },

    /** Counts it. Idempotent by the call's id. */
    async end(
      call: CountedCall,
      { row, isLimited }: { readonly row: NewModelCall; readonly isLimited: boolean },
    ): Promise<void> {
      await endModelCall(db, priced(call, prices), row);
      if (!isLimited) return;
      const budget = await budgetOf(db, row.agentId);
      if (budget !== null) await noteBudgetReached(db, { agentId: row.agentId, budget });
    },

    /** Counts what processes that died had begun, with what they had told. Answers how many. */
    async endLost(): Promise<number> {
      const lost = await lostModelCalls(db, { silentMs: SILENT_MS, limit: LOST_AT_ONCE_MAX });
      for (const call of lost) await endModelCall(db, priced(asLost(call), prices));
      return lost.length;
    },
  };
}

function createUnlimited() {
  const until = new Map<string, number>();
  return {
    has: (agentId: string): boolean => (until.get(agentId) ?? 0) > performance.now(),
    add: (agentId: string): void => {
      if (until.size >= UNLIMITED_MAX) until.clear();
      until.set(agentId, performance.now() + UNLIMITED_MS);
    },
  };
}

function reservationOf(
  call: CallToBegin,
  price: Price | null,
): { readonly tokens: number; readonly microdollars: number } {
  const tokens: TokenCounts = {
    ...NO_TOKENS,
    inputTokens: estimatedInput(call.requestBytes),
    outputTokens: Math.min(
      call.outputTokensMax ?? OUTPUT_TOKENS_DEFAULT,
      OUTPUT_TOKENS_RESERVED_MAX,
    ),
  };
  return {
    tokens: tokens.inputTokens + tokens.outputTokens,
    microdollars: price === null ? 0 : costOf(tokens, price),
  };
}

function priced(call: CountedCall, prices: PriceTable): EndedModelCall {
  const price = prices.of(call.model);
  const isEmpty = Object.values(call.tokens).every((count) => count === 0);
  const isUnpriced = price === null && !isEmpty;
  return {
    ...call,
    flags: isUnpriced ? [...call.flags, 'unpriced'] : call.flags,
    costMicrodollars: price === null ? 0 : costOf(call.tokens, price),
  };
}

/** What its process told last is what is known; what came after it is not. */
function asLost(call: ModelCall): CountedCall {
  const isRefused = call.status !== null && call.status >= 400;
  const hasTold = Object.values(call.tokens).some((count) => count > 0);
  const settled = settleTokens(
    {
      requestBytes: call.requestBytes,
      responseBytes: call.responseBytes,
      isStream: call.streamed,
      isComplete: false,
      outputTokensMax: null,
    },
    { tokens: hasTold ? call.tokens : null, events: call.events },
  );
  const flags: readonly ModelCallFlag[] = isRefused ? [] : settled.flags;
  return {
    id: call.id,
    state: 'lost',
    status: call.status,
    provider: call.provider,
    model: call.model,
    attempts: Math.max(1, call.attempts),
    flags,
    responseBytes: call.responseBytes,
    events: call.events,
    tokens: isRefused ? NO_TOKENS : settled.tokens,
    firstByteMs: null,
    totalMs: null,
  };
}

/** The first budget of which running calls may need all that is left. */
function heldBudget({ left }: Budget, reserved: Reserved): BudgetName | null {
  const held: Readonly<Record<BudgetName, number>> = {
    agent_tokens: reserved.agentTokens,
    agent_cost: reserved.agentMicrodollars,
    workspace_tokens_day: reserved.workspaceTokens,
    workspace_tokens_month: reserved.workspaceTokens,
    workspace_cost_day: reserved.workspaceMicrodollars,
    workspace_cost_month: reserved.workspaceMicrodollars,
  };
  const isHeld = (name: BudgetName): boolean => {
    const rest = left[name];
    return rest !== null && rest - held[name] <= 0;
  };
  return BUDGETS.find(isHeld) ?? null;
}

function outputTokensLeft(
  { left }: Budget,
  requestBytes: number,
  price: Price | null,
): number | null {
  const input = estimatedInput(requestBytes);
  const tokens = [left.agent_tokens, left.workspace_tokens_day, left.workspace_tokens_month].map(
    (rest) => (rest === null ? null : rest - input),
  );
  const costs = [left.agent_cost, left.workspace_cost_day, left.workspace_cost_month].map((rest) =>
    rest === null || price === null || price.output === 0
      ? null
      : (rest * 1_000_000 - input * price.input) / price.output,
  );
  const known = [...tokens, ...costs].filter((rest) => rest !== null);
  return known.length === 0 ? null : Math.max(0, Math.floor(Math.min(...known)));
}

function budgetRefusal(name: BudgetName): Refusal {
  return {
    kind: 'budget',
    message:
      `Rookery stopped this call by the budget ${name}. ${budgetWords(name)} ${renewalOf(name)} ` +
      'An administrator can raise it; trying again does not help before that.',
  };
}

function renewalOf(name: BudgetName): string {
  if (name.endsWith('_day')) return 'It is renewed at midnight UTC.';
  return name.endsWith('_month')
    ? 'It is renewed with the next month (UTC).'
    : 'It is for its life.';
}

function heldRefusal(name: BudgetName): Refusal {
  return {
    kind: 'rate',
    message:
      `Rookery holds this call back: other calls are running that may need all that is left of ` +
      `the budget ${name}. Try again when they have ended.`,
    retryAfterSeconds: HELD_RETRY_SECONDS,
  };
}

function unpricedRefusal(model: string): Refusal {
  return {
    kind: 'forbidden',
    message:
      `Rookery stopped this call: a budget of money holds here, and nobody told what ${model} ` +
      'costs. An administrator adds it to models.prices.',
  };
}

function gone(): Begun {
  return refused({ kind: 'unauthenticated', message: 'This agent is not there any more.' });
}

function refused(refusal: Refusal): Begun {
  return { kind: 'refused', refusal };
}
