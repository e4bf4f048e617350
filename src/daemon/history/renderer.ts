import type { Entry } from '../persistence/journal/entry.ts';
import { JsonLines } from './json.ts';
import { LineAssembler } from './lines.ts';

/** How output that goes on being written can be told: what `logs` prints. */
export type LiveFormat = 'text' | 'ansi' | 'raw' | 'json';

export interface Renderer {
  /** What this entry adds. Its bytes are not kept. */
  push(entry: Entry): Uint8Array | string;
  /** What is left when nothing more comes. */
  end(): string;
}

/** `clean`: what becomes of the text of each line before it is told; not of raw bytes, which nobody may change. */
export function rendererFor(format: LiveFormat, clean: (text: string) => string = (text) => text): Renderer {
  switch (format) {
    case 'raw':
      // What is missing has no place among raw bytes; it would be taken for output.
      return { push: (entry) => (entry.is === 'output' ? entry.bytes : ''), end: () => '' };
    case 'json':
      return new JsonLines(clean);
    default: {
      const assembler = new LineAssembler({ keepsLooks: format === 'ansi' });
      const print = (lines: readonly { text: string }[]) => clean(lines.map(({ text }) => `${text}\n`).join(''));
      return { push: (entry) => print(assembler.push(entry)), end: () => print(assembler.flush()) };
    }
  }
}
