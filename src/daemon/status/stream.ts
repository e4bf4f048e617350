import { plain, type Report, readReport } from './report.ts';

/** What a program tells its terminal about itself, beside what it draws. */
export type Signal =
  | { is: 'title'; text: string }
  /** OSC 9;4: 0 nothing, 1 so many per cent, 2 an error, 3 busy, 4 paused. */
  | { is: 'progress'; state: 0 | 1 | 2 | 3 | 4; percent: number | null }
  /** OSC 9, 777 and 99. */
  | { is: 'notification'; text: string }
  | { is: 'report'; report: Report | 'clear' }
  | { is: 'bell' };

/** Bytes of one sequence. What is longer is an image or a clipboard. */
const SEQUENCE_LIMIT = 4096;
/** Characters of a notification, which may come in many pieces. */
const NOTIFICATION_LIMIT = 2000;

/**
 * Finds those signals in a program's own bytes, however they are cut. The emulator's screen would be too late and too little: it has one
 * title, and no notifications. The bell that ends a sequence is no bell.
 */
export class Signals {
  #state: 'ground' | 'escape' | 'osc' | 'osc escape' | 'string' | 'string escape' = 'ground';
  #bytes: number[] = [];
  /** The pieces of an OSC 99 that is not complete, by its id. */
  #pieces: { id: string; title: string; body: string } | null = null;

  read(chunk: Uint8Array): Signal[] {
    // Most output has neither.
    if (this.#state === 'ground' && !chunk.includes(ESC) && !chunk.includes(BEL)) return [];
    const found: Signal[] = [];
    for (const byte of chunk) {
      switch (this.#state) {
        case 'ground':
          if (byte === BEL) found.push({ is: 'bell' });
          else if (byte === ESC) this.#state = 'escape';
          break;
        case 'escape':
          this.#afterEscape(byte, found);
          break;
        case 'osc':
          if (byte === BEL) this.#end(found);
          else if (byte === ESC) this.#state = 'osc escape';
          else if (byte === CAN || byte === SUB) this.#state = 'ground';
          else if (this.#bytes.length < SEQUENCE_LIMIT) this.#bytes.push(byte);
          else this.#state = 'string';
          break;
        case 'osc escape':
          this.#end(found);
          // Any ESC ends the string; what follows is a sequence of its own.
          if (byte !== BACKSLASH) this.#afterEscape(byte, found);
          break;
        case 'string':
          // A bell ends an OSC, of which there are bytes because it was too long, and nothing else.
          if (byte === ESC) this.#state = 'string escape';
          else if (byte === CAN || byte === SUB || (byte === BEL && this.#bytes.length > 0)) this.#state = 'ground';
          break;
        case 'string escape':
          this.#state = 'ground';
          if (byte !== BACKSLASH) this.#afterEscape(byte, found);
          break;
      }
    }
    return found;
  }

  #afterEscape(byte: number, found: Signal[]): void {
    this.#bytes = [];
    if (byte === OSC) this.#state = 'osc';
    else if (byte === DCS || byte === SOS || byte === PM || byte === APC) this.#state = 'string';
    else if (byte !== ESC) {
      this.#state = 'ground';
      if (byte === BEL) found.push({ is: 'bell' });
    } else this.#state = 'escape';
  }

  #end(found: Signal[]): void {
    this.#state = 'ground';
    const text = Buffer.from(this.#bytes).toString('utf8');
    this.#bytes = [];
    const signal = this.#meaning(text);
    if (signal) found.push(signal);
  }

  #meaning(text: string): Signal | null {
    const [, code, body] = /^(\d{1,5});([\s\S]*)$/.exec(text) ?? [];
    if (code === undefined || body === undefined) return null;
    switch (code) {
      case '0':
      case '2':
        return { is: 'title', text: plain(body) };
      case '9':
        return progressOrNotification(body);
      case '99':
        return this.#kittyNotification(body);
      case '777':
        return body.startsWith('notify;') ? notification(body.slice(7).split(';')) : null;
      case '7501': {
        const report = readReport(body);
        return report && { is: 'report', report };
      }
      default:
        return null;
    }
  }

  /** Keys and values, then a piece of the title or of the text; `d=0` says that more follow. */
  #kittyNotification(body: string): Signal | null {
    const end = body.indexOf(';');
    if (end < 0) return null;
    const keys = new Map(
      body
        .slice(0, end)
        .split(':')
        .map((pair) => [pair.slice(0, 1), pair.slice(2)] as const),
    );
    const kind = keys.get('p') ?? 'title';
    // Others close, ask, or carry icons and buttons.
    if (kind !== 'title' && kind !== 'body') return null;
    const id = keys.get('i') ?? '';
    const piece = keys.get('e') === '1' ? Buffer.from(body.slice(end + 1), 'base64').toString('utf8') : body.slice(end + 1);
    const pieces = this.#pieces?.id === id ? this.#pieces : { id, title: '', body: '' };
    pieces[kind] = (pieces[kind] + piece).slice(0, NOTIFICATION_LIMIT);
    this.#pieces = keys.get('d') === '0' ? pieces : null;
    return this.#pieces ? null : notification([pieces.title, pieces.body]);
  }
}

function progressOrNotification(body: string): Signal | null {
  const [, state, percent] = /^4;([0-4])(?:;(\d{1,3}))?;?$/.exec(body) ?? [];
  if (state !== undefined)
    return {
      is: 'progress',
      state: Number(state) as 0 | 1 | 2 | 3 | 4,
      percent: percent === undefined ? null : Math.min(100, Number(percent)),
    };
  // ConEmu's other commands have a number and a semicolon; "3 tests failed" is a notification.
  return /^(?:[1-9]|1[0-2])(?:;|$)/.test(body) ? null : notification([body]);
}

function notification(parts: readonly string[]): Signal | null {
  const text = plain(parts.filter((part) => part !== '').join(': ')).slice(0, NOTIFICATION_LIMIT);
  return text === '' ? null : { is: 'notification', text };
}

const BEL = 0x07;
const ESC = 0x1b;
const CAN = 0x18;
const SUB = 0x1a;
const BACKSLASH = 0x5c;
const OSC = 0x5d;
const DCS = 0x50;
const SOS = 0x58;
const PM = 0x5e;
const APC = 0x5f;
