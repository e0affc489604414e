// deno-lint-ignore-file no-explicit-any
export interface SpyCall {
  args: any[];
  returned?: any;
  error?: Error;
}
export interface Spy<F extends (...args: any[]) => any> extends Disposable {
  (...args: Parameters<F>): ReturnType<F>;
  calls: SpyCall[];
  restore(): void;
  readonly restored: boolean;
}
export function spy<F extends (...args: any[]) => any>(func?: F): Spy<F>;
export function stub<T, K extends keyof T>(
  self: T,
  property: K,
  func?: (...args: any[]) => any,
): Spy<(...args: any[]) => any>;
export function assertSpyCalls(spy: { calls: SpyCall[] }, expected: number): void;
