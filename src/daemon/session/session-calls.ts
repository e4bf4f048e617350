import { WireError } from '../../wire/errors.ts';
import { type Handlers, sinkOf } from '../subsystem.ts';
import { encodeInput } from '../terminal/keys.ts';
import { signalNamed } from '../terminal/signals.ts';
import { capture } from './capture.ts';
import type { Sessions } from './sessions.ts';

export type SessionCalls =
  | 'session.create'
  | 'session.list'
  | 'session.get'
  | 'session.rename'
  | 'session.kill'
  | 'pane.write'
  | 'pane.capture'
  | 'pane.resize'
  | 'pane.signal'
  | 'pane.attach'
  | 'pane.detach'
  | 'pane.viewport';

/** What a client can ask of the sessions. */
export function callsOf(sessions: Sessions): Pick<Handlers, SessionCalls> {
  return {
    'session.create': async (params) => (await sessions.create(params)).info,
    'session.list': () => ({ sessions: sessions.all.map(({ info }) => info) }),
    'session.get': ({ session }) => sessions.find(session).info,
    'session.rename': ({ session, name }) => sessions.rename(sessions.find(session), name),
    'session.kill': async ({ sessions: targets, force }) => ({
      killed: await sessions.kill([...new Set(targets.map((name) => sessions.find(name)))], force),
    }),
    'pane.write': ({ session, input, as, enter }) => {
      const { pane } = sessions.find(session);
      const bytes = encodeInput(input, { as, enter, modes: pane.screen.keyModes });
      pane.write(bytes);
      return { bytes: bytes.length };
    },
    'pane.capture': (params) => capture(sessions.find(params.session).pane.screen, params),
    'pane.resize': ({ session, cols, rows }) => {
      const found = sessions.find(session);
      found.pane.resize(cols, rows);
      return found.info;
    },
    'pane.signal': async ({ session, signal, to }) => {
      const found = sessions.find(session);
      const name = signalNamed(signal);
      if (!name)
        throw new WireError('bad-params', `No signal "${signal.slice(0, 40)}". Use a name such as INT, TERM or WINCH, or a number.`);
      const { state } = found.pane;
      if (state.is !== 'running') throw new WireError('ended', `Session "${found.facts.name}" has ended: there is nothing to signal.`);
      return { signal: name, delivered: await state.pty.signal(name, to) };
    },
    'pane.attach': (params, caller) => sessions.attach(params, caller),
    'pane.detach': ({ stream }, caller) => {
      sinkOf(caller, stream).closed('detached');
      return {};
    },
    'pane.viewport': ({ stream, cols, rows }, caller) => {
      sinkOf(caller, stream).viewport(cols, rows);
      return {};
    },
  };
}
