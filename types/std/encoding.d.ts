export function decodeBase64(text: string): Uint8Array<ArrayBuffer>;
export function encodeBase64(data: ArrayBuffer | Uint8Array | string): string;
export function encodeBase64Url(data: ArrayBuffer | Uint8Array | string): string;
export function decodeHex(text: string): Uint8Array<ArrayBuffer>;
export function encodeHex(data: ArrayBuffer | Uint8Array | string): string;
