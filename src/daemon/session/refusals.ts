import { WireError } from '../../wire/errors.ts';

/** A disk that is full, read-only or gone is something that the caller can do something about; other errors are bugs, and stay what they are. */
export function asRefusal(error: unknown): unknown {
  const { code, path, message } = error as NodeJS.ErrnoException;
  const isDisk =
    typeof path === 'string' &&
    ['ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EPERM', 'EIO', 'ENOENT', 'EISDIR', 'ENOTDIR', 'ENOTEMPTY', 'EMFILE', 'ENFILE'].includes(
      code ?? '',
    );
  return isDisk
    ? new WireError('spawn-failed', `Cannot write "${path}": ${message.split(',')[0]}. Nothing was changed.`, { errno: code })
    : error;
}
