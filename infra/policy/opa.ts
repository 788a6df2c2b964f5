import { Agent, request as fetchOf } from 'undici';
import { z } from 'zod';
import { parseJson } from '../../domain/json.ts';
import { POLICY_VERDICTS, type PolicyDecision, type PolicyRequest } from '../../domain/policy.ts';
import { isInOwnContext } from './cedar-request.ts';
import { refuse } from './refusal.ts';

export interface OpaSettings {
  readonly url: string;
  /** Which document decides, where a version names none: `rookery/decision`. */
  readonly path: string;
  readonly timeoutMs: number;
  /** Resolved for each call, so that a rotated token holds at once; null where none is sent. */
  readonly token: (() => Promise<string>) | null;
}

export interface OpaEngine {
  /** Never throws: time-out, another status and any other answer than a decision are `deny` by `error`. */
  decide(
    version: { readonly version: number; readonly path: string },
    request: PolicyRequest,
  ): Promise<PolicyDecision>;
  close(): Promise<void>;
}

const ANSWER_BYTES_MAX = 64 * 1024;
const CONNECTIONS = 32;

/** What the document must be. An undefined one is no `result` at all. */
const OpaAnswer = z.object({
  result: z.strictObject({
    verdict: z.enum(POLICY_VERDICTS),
    rule: z.string().min(1).max(64).default('opa'),
    reason: z.string().max(500).default(''),
  }),
});

/** Asks an OPA server for each decision; its policies are its own, only which document decides is ours. */
export function createOpaEngine({ url, path, timeoutMs, token }: OpaSettings): OpaEngine {
  const agent = new Agent({ connections: CONNECTIONS, connect: { timeout: timeoutMs } });
  const ask = async (document: string, request: PolicyRequest): Promise<unknown> => {
    const signal = AbortSignal.timeout(timeoutMs);
    const bearer = token === null ? {} : { authorization: `Bearer ${await token()}` };
    const answer = await fetchOf(`${url.replace(/\/+$/, '')}/v1/data/${document}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...bearer },
      body: JSON.stringify({ input: opaInput(request) }),
      dispatcher: agent,
      signal,
    });
    if (answer.statusCode !== 200) {
      await answer.body.dump();
      throw new OpaFault(`it answered ${answer.statusCode}`);
    }
    let text = '';
    for await (const chunk of answer.body.setEncoding('utf8')) {
      text += String(chunk);
      if (text.length > ANSWER_BYTES_MAX) throw new OpaFault('its answer was too long');
    }
    return parseJson(text);
  };
  return {
    async decide(version, request) {
      const made = { engine: 'opa', version: version.version } as const;
      try {
        const answer = OpaAnswer.safeParse(await ask(version.path || path, request));
        if (!answer.success) throw new OpaFault('its answer was no decision');
        return { ...made, ...answer.data.result };
      } catch (error) {
        // What else there is to say may quote the address or the token.
        const why = error instanceof OpaFault ? error.message : 'it did not answer';
        return refuse(`OPA could not be asked: ${why}.`, made);
      }
    },
    close: () => agent.destroy(),
  };
}

class OpaFault extends Error {
  override readonly name = 'OpaFault';
}

/** The request as it is, and what Cedar's policies are told besides. */
function opaInput(request: PolicyRequest): unknown {
  return { ...request, inOwnContext: isInOwnContext(request) };
}
