/** Every way a call can be refused: one table, which alone knows JSON-RPC numbers, HTTP statuses and exit codes. */
export const ERRORS = {
  'bad-request': { rpc: -32600, http: 400, exit: 2, means: 'The message is not a call.' },
  'unknown-call': { rpc: -32601, http: 404, exit: 2, means: 'There is no call of that name.' },
  'bad-params': { rpc: -32602, http: 400, exit: 2, means: 'A value in the call is not one that it takes.' },
  internal: { rpc: -32603, http: 500, exit: 1, means: 'A bug in the daemon; its log has the incident.' },
  'not-found': { rpc: -32001, http: 404, exit: 3, means: 'No session, pane or stream of that name.' },
  denied: { rpc: -32002, http: 403, exit: 5, means: 'Not allowed, as for input from a read-only client.' },
  exists: { rpc: -32003, http: 409, exit: 6, means: 'The name is taken.' },
  ended: { rpc: -32004, http: 409, exit: 7, means: 'The program has ended.' },
  'spawn-failed': { rpc: -32005, http: 422, exit: 8, means: 'The program could not be started.' },
  busy: { rpc: -32006, http: 429, exit: 1, means: 'Too much is waiting; nothing of this call was done.' },
  version: { rpc: -32007, http: 426, exit: 4, means: 'Client and daemon have no protocol in common.' },
} as const satisfies Record<string, { rpc: number; http: number; exit: number; means: string }>;

export type ErrorCode = keyof typeof ERRORS;

/** A refusal that crosses the wire. `message` is a sentence for people; `data` is for programs. */
export class WireError extends Error {
  override readonly name = 'WireError';
  readonly code: ErrorCode;
  readonly data: Record<string, unknown>;

  constructor(code: ErrorCode, message: string, data: Record<string, unknown> = {}) {
    super(message);
    this.code = code;
    this.data = data;
  }

  get exitCode(): number {
    return ERRORS[this.code].exit;
  }
}

/** A WireError as the JSON-RPC `error` member. */
export interface ErrorBody {
  code: number;
  message: string;
  data: { code: string; [name: string]: unknown };
}

export function toWire(error: WireError): ErrorBody {
  return { code: ERRORS[error.code].rpc, message: error.message, data: { ...error.data, code: error.code } };
}

/** The other way. A code from a newer daemon, which this table does not know, reads as `internal` and keeps its words. */
export function fromWire({ message, data }: ErrorBody): WireError {
  const { code, ...rest } = data ?? {};
  const isKnown = typeof code === 'string' && Object.hasOwn(ERRORS, code);
  return new WireError(isKnown ? (code as ErrorCode) : 'internal', String(message), isKnown ? rest : { ...rest, unknownCode: code });
}
