import { describe, expect, it } from 'vitest';
import { linkAbort } from '../../src/runtime/linked-abort.ts';

describe('linkAbort', () => {
  it('is aborted with the outer signal, for its reason', () => {
    const outer = new AbortController();
    const { signal } = linkAbort(outer.signal);
    const reason = new Error('over');
    outer.abort(reason);
    expect(signal.reason).toBe(reason);
  });

  it('is aborted from the beginning when the outer signal is', () => {
    const reason = new Error('over');
    expect(linkAbort(AbortSignal.abort(reason)).signal.reason).toBe(reason);
  });

  it('is aborted alone, and not after it was unlinked', () => {
    const outer = new AbortController();
    const own = linkAbort(outer.signal);
    own.abort(new Error('own'));
    expect(own.signal.aborted).toBe(true);
    expect(outer.signal.aborted).toBe(false);
    const unlinked = linkAbort(outer.signal);
    unlinked.unlink();
    outer.abort(new Error('outer'));
    expect(unlinked.signal.aborted).toBe(false);
  });
});
