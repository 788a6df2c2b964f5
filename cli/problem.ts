import { certificateError } from './certificate-words.ts';
import { parseJson } from '../domain/json.ts';
import { ProblemSchema } from '../domain/schema/problem.ts';
import { CliError, exitOfProblem, exitOfStatus } from './exit.ts';
import { plainLine } from './text.ts';

/** Fields beyond these would not fit a line that anybody reads. */
const FIELDS_SHOWN_MAX = 3;

const HINTS: Readonly<Record<string, string>> = {
  unauthenticated:
    'Give a key with --key or ROOKERY_API_KEY; `rookery up` prints one when it first starts.',
};

export interface FailedAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
  /** For messages: where the answer came from. */
  readonly origin: string;
  /** Whether the question came with a certificate. */
  readonly hasCertificate?: boolean;
}

/** One line that says what was wrong, whatever answered. */
export function errorOfAnswer(answer: FailedAnswer): CliError {
  const parsed = ProblemSchema.safeParse(parseJson(answer.text));
  if (!parsed.success) return foreignError(answer);
  const problem = parsed.data;
  const fields = problem.errors ?? [];
  const several = fields
    .slice(0, FIELDS_SHOWN_MAX)
    .map(({ pointer, detail }) => `${pointer.replace(/^(#|query|path)\//, '')}: ${detail}`)
    .join(' ');
  const more =
    fields.length > FIELDS_SHOWN_MAX ? ` (and ${fields.length - FIELDS_SHOWN_MAX} more)` : '';
  const message = fields.length > 1 ? `${several}${more}` : problem.detail;
  const trace = problem.code === 'internal' ? ` (request ${problem.requestId})` : '';
  const hint = hintOf(problem.code, answer);
  return new CliError(exitOfProblem(problem), plainLine(message) + trace, {
    code: problem.code,
    ...(hint === undefined ? {} : { hint }),
    data: { problem },
  });
}

function hintOf(code: string, { hasCertificate = false }: FailedAnswer): string | undefined {
  if (code !== 'unauthenticated' || !hasCertificate) return HINTS[code];
  return 'Ask an admin for a secret, or run `rookery enrol-secret` on the server, and enrol again.';
}

/** A proxy, another program on the port, or a build that is half down. */
function foreignError({ status, contentType, origin }: FailedAnswer): CliError {
  const kind = contentType === '' ? 'without a content type' : `as ${plainLine(contentType)}`;
  return new CliError(
    status === 404 ? 'unavailable' : exitOfStatus(status),
    `${origin} answered ${status} ${kind}, which is not how Rookery reports a problem.`,
    { hint: 'Is this the address of a Rookery API? See --url.', data: { status } },
  );
}

const NETWORK_WORDS: Readonly<Record<string, (host: string) => string>> = {
  ENOTFOUND: (host) => `There is no host named ${host}.`,
  EAI_AGAIN: (host) => `The name ${host} cannot be looked up now.`,
  EHOSTUNREACH: (host) => `${host} cannot be reached from here.`,
  ENETUNREACH: (host) => `${host} cannot be reached from here.`,
  ETIMEDOUT: (host) => `${host} does not take the connection.`,
  UND_ERR_CONNECT_TIMEOUT: (host) => `${host} does not take the connection.`,
  UND_ERR_HEADERS_TIMEOUT: (host) => `${host} took the request and did not answer in time.`,
  UND_ERR_BODY_TIMEOUT: (host) => `${host} stopped in the middle of its answer.`,
  UND_ERR_SOCKET: (host) => `${host} cut the connection before it answered.`,
  ECONNRESET: (host) => `${host} cut the connection before it answered.`,
  EPIPE: (host) => `${host} cut the connection before it answered.`,
};

/** The connection failed before there was an answer. */
export function errorOfNetwork(
  error: unknown,
  url: URL,
  { hasCertificate = false }: { readonly hasCertificate?: boolean } = {},
): CliError {
  const code = networkCode(error);
  const ofCertificate = certificateError({ code, url, hasCertificate, cause: error });
  if (ofCertificate !== null) return ofCertificate;
  if (code === 'ECONNREFUSED') {
    return new CliError('unavailable', `Nothing answers at ${url.origin}.`, {
      hint: 'Start the runtime with `rookery up`, or say where it is with --url or ROOKERY_URL.',
      code: 'unreachable',
      cause: error,
    });
  }
  const words = NETWORK_WORDS[code]?.(url.host);
  if (words !== undefined) {
    return new CliError('unavailable', words, { code: 'unreachable', cause: error });
  }
  if (/CERT|SSL|TLS|SELF_SIGNED|UNABLE_TO_VERIFY/.test(code)) {
    return new CliError('unavailable', `The certificate of ${url.host} is not accepted: ${code}.`, {
      hint: 'For an admin listener let this machine enrol (`rookery enrol`); else name the file of your own authority in NODE_EXTRA_CA_CERTS.',
      code: 'unreachable',
      cause: error,
    });
  }
  const what = code === '' ? '' : ` (${code})`;
  return new CliError('unavailable', `${url.origin} does not speak as an API does${what}.`, {
    hint: 'Is it https where you said http, or another program on this port?',
    code: 'unreachable',
    cause: error,
  });
}

/** The first code in the chain of causes; several addresses of one host fail as one `AggregateError`. */
export function networkCode(error: unknown): string {
  for (let current = error, depth = 0; depth < 5; depth += 1) {
    if (!(current instanceof Error)) return '';
    if ('code' in current && typeof current.code === 'string') return current.code;
    if (current instanceof AggregateError && current.errors.length > 0) {
      const [first]: unknown[] = current.errors;
      current = first;
    } else current = current.cause;
  }
  return '';
}
