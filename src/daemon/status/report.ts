/** What a program says of itself by OSC 7501, the Program Status Protocol (revision 0.4). Codex sends it, and others have begun to. */
export interface Report {
  state: 'idle' | 'working' | 'blocked' | 'done' | 'error';
  /** Of a blocked one: what it waits for. */
  kind: 'permission' | 'question' | 'auth' | null;
  /** As it calls itself; empty when it does not. */
  app: string;
  message: string;
}

/** `clear` takes back what was reported. Null: no report, such as the question whether we understand them. */
export function readReport(body: string): Report | 'clear' | null {
  const values = new Map<string, string>();
  for (const pair of body.split(':')) {
    const equals = pair.indexOf('=');
    if (equals > 0) values.set(pair.slice(0, equals), pair.slice(equals + 1));
  }
  // A record with an id is a part of the program, such as one of many downloads. The one without speaks for the whole.
  if (values.has('id')) return null;
  const state = values.get('state');
  if (state === 'clear') return 'clear';
  if (state !== 'idle' && state !== 'working' && state !== 'blocked' && state !== 'done' && state !== 'error') return null;
  const kind = values.get('kind');
  return {
    state,
    kind: state === 'blocked' && (kind === 'permission' || kind === 'question' || kind === 'auth') ? kind : null,
    app: (values.get('app') ?? '').slice(0, 32),
    message: plain(Buffer.from(values.get('msg') ?? '', 'base64').toString('utf8')).slice(0, 500),
  };
}

/** Without control characters, which have no place in what a person is shown. */
export function plain(text: string): string {
  return text.replace(/[\x00-\x1f\x7f-\x9f]+/g, ' ').trim();
}
