/** A certificate as it is given to somebody and remembered. */
export interface IssuedCertificate {
  readonly pem: string;
  /** Lower-case hex. */
  readonly serial: string;
  /** Lower-case hex SHA-256 of the DER form. */
  readonly fingerprint: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

export interface ServerIdentity extends IssuedCertificate {
  /** PKCS #8 as PEM. It lives in this process's memory only. */
  readonly key: string;
}

/** What of a request for a certificate counts: that its sender has the key. Names in it are not even read. */
export interface CertificateRequest {
  /** SubjectPublicKeyInfo in DER. */
  readonly publicKey: Buffer;
  /** Hex SHA-256 of that. */
  readonly publicKeyHash: string;
}

/** The installation's own authority: it vouches for the admin listener and for those who may reach it. */
export interface CertificateAuthority {
  /** PEM of its own certificate. */
  readonly certificate: string;
  /** Hex SHA-256 of its certificate, by which clients know it before they have it. */
  readonly fingerprint: string;
  readonly notAfter: Date;
  /** Throws `invalid_input` in words for what is no request, is signed by another key, or has a key too weak. */
  readRequest(pem: string): Promise<CertificateRequest>;
  issueClient(client: {
    readonly userId: string;
    readonly publicKey: Buffer;
    readonly lifetimeMs: number;
  }): Promise<IssuedCertificate>;
  /** With a key of its own, for the names and addresses. */
  issueServer(server: {
    readonly names: readonly string[];
    readonly lifetimeMs: number;
  }): Promise<ServerIdentity>;
}
