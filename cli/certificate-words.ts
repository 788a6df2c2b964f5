import { CliError } from './exit.ts';

/** Told by the other side, as TLS names its reasons. With TLS 1.3 it comes after the handshake, with the answer. */
const ALERT = /ALERT/;
/** What a refusal looks like where the alert was lost on its way. */
const CUT: readonly string[] = ['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'];
const UNTRUSTED = /SELF_SIGNED|UNABLE_TO_(?:VERIFY|GET)|CERT_(?:UNTRUSTED|SIGNATURE|REJECTED)/;

export interface Failing {
  /** Of the connection's failure. */
  readonly code: string;
  readonly url: URL;
  readonly hasCertificate: boolean;
  readonly cause: unknown;
}

/** For a failure that has to do with certificates; null for the others. */
export function certificateError({ code, url, hasCertificate, cause }: Failing): CliError | null {
  if (url.protocol !== 'https:' && url.protocol !== 'wss:') return null;
  const refuse = (message: string, hint: string): CliError =>
    new CliError('denied', message, { hint, code: 'not_accepted', cause });
  if (ALERT.test(code) && !hasCertificate) {
    return refuse(
      `${url.host} is for those who have a certificate.`,
      'Let this machine enrol: `rookery enrol <url> <secret>`, with a secret from an admin.',
    );
  }
  if (!hasCertificate) return null;
  if (ALERT.test(code)) {
    return refuse(`The certificate of this machine is not accepted by ${url.host}.`, hintFor(code));
  }
  if (CUT.includes(code)) {
    return refuse(
      `${url.host} cut the connection: the certificate of this machine is not accepted, or the listener is just going away.`,
      `Try again. ${hintFor(code)}`,
    );
  }
  if (UNTRUSTED.test(code)) {
    return refuse(
      `${url.host} is not the installation that this machine enrolled with: another authority vouches for it.`,
      'Nothing was sent. Is it the right address, or is somebody in between? Enrol again only if you know why it changed.',
    );
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return refuse(
      `The certificate of ${url.host} is for other names.`,
      'List this one in admin.names on the server, or ask by one of those.',
    );
  }
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') {
    return refuse(
      `The certificate of ${url.host} is not good by the clock of this machine.`,
      'Is the clock right, here and there?',
    );
  }
  return null;
}

function hintFor(code: string): string {
  if (code.includes('EXPIRED')) return 'It has expired, by the clock of the server: enrol again.';
  if (code.includes('UNKNOWN_CA')) return 'It is of another installation: enrol with this one.';
  return 'See `rookery certificate show`; else enrol again.';
}
