import { AppError } from '../../domain/error.ts';

const LOOPBACK_HOST = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i;

/** Which names a listener answers to, and what it says to others. */
export interface HostRule {
  readonly isOwn: (host: string) => boolean;
  readonly refusal: string;
}

export const LOOPBACK_RULE: HostRule = {
  isOwn: isLoopbackHost,
  refusal: 'The admin listener is for this machine: ask for it as 127.0.0.1 or localhost.',
};

/** Host names and addresses, whatever the port: a tunnel may have another one. */
export function ruleOfNames(names: readonly string[]): HostRule {
  const own = new Set(names.map((name) => name.toLowerCase()));
  return {
    isOwn: (host) => own.has(hostnameOf(host)),
    refusal: 'The admin listener has another name: list this one in admin.names to ask it so.',
  };
}

/**
 * What the admin listener asks of every request: that it was meant for it. A page elsewhere whose name was made to point
 * here (DNS rebinding) sends its own name as `Host`; one that calls this address by name sends its own `Origin`.
 */
export function checkHost(request: Request, rule: HostRule, alsoFrom: string | null): void {
  const { headers, url } = request;
  // Requests inside the process have no header, and an address made by us.
  const host = headers.get('host') ?? new URL(url).host;
  if (!rule.isOwn(host)) throw new AppError('policy_denied', rule.refusal);
  const origin = headers.get('origin');
  if (origin !== null && origin !== alsoFrom && hostOf(origin) !== host.toLowerCase()) {
    throw new AppError('policy_denied', 'The admin listener takes no requests of other pages.');
  }
}

/** Of a `Host` header, with or without a port. */
export function isLoopbackHost(host: string): boolean {
  return LOOPBACK_HOST.test(host);
}

/** Without its port and, for IPv6, its brackets; empty for what is no host. */
function hostnameOf(host: string): string {
  const [, bracketed, plain] =
    /^(?:\[([0-9a-f:]{2,45})\]|([^[\]:/@?#\s]{1,253}))(?::\d{1,5})?$/i.exec(host) ?? [];
  return (bracketed ?? plain ?? '').toLowerCase();
}

/** `null`, which a sandboxed page sends, has none. */
function hostOf(origin: string): string | null {
  return URL.canParse(origin) ? new URL(origin).host : null;
}
