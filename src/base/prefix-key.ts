/** What a prefix key may be, in the settings and in AI_SESSION_PREFIX: C-a to C-z, C-Space, C-\, C-], C-^, C-_ or none. */
export const PREFIX_KEY = /^(C-([a-z]|Space|[\\\]^_])|none)$/;
