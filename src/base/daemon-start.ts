/** EX_TEMPFAIL of sysexits(3): what `native/lock` exits with when somebody else holds the lock, and what a daemon does that finds it taken. */
export const LOCK_BUSY = 75;
/** A daemon whose home is locked by a passphrase says so on its standard output, and reads one from its standard input, a line. */
export const LOCKED = 'locked\n';
