/** Calls of the native API: one place for credentials, language, and problems. */
import type { components } from "./schema";

export type Schemas = components["schemas"];
export type Page<T> = { items: T[]; nextCursor?: string };
export type Query = Record<string, string | number | boolean | null | undefined>;

/** A refusal, as RFC 9457 tells it. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly detail?: string;
  readonly fields: { field: string; message: string }[];
  readonly requestId?: string;
  readonly retryAfterSeconds?: number;

  constructor(status: number, body: Partial<Schemas["Problem"]>, retryAfter?: string | null) {
    super(body.title ?? `HTTP ${status}`);
    this.name = "Problem";
    this.status = status;
    this.code = body.code ?? "unreachable";
    this.detail = body.detail;
    this.fields = body.errors ?? [];
    this.requestId = body.request_id;
    if (retryAfter) this.retryAfterSeconds = Number(retryAfter);
  }
}

export interface ClientOptions {
  /** A token, for people of the page for trying; the console itself has its cookie. */
  token?: () => string | null;
  language: () => string;
  /** The session is over. */
  onSignedOut?: () => void;
}

const PREFIX = "/api/v1";

export class ApiClient {
  readonly #options: ClientOptions;

  constructor(options: ClientOptions) {
    this.#options = options;
  }

  get<T>(path: string, query?: Query, signal?: AbortSignal): Promise<T> {
    return this.#call<T>("GET", path, { query, signal });
  }
  post<T>(path: string, body?: unknown): Promise<T> {
    return this.#call<T>("POST", path, { body });
  }
  put<T>(path: string, body?: unknown): Promise<T> {
    return this.#call<T>("PUT", path, { body });
  }
  patch<T>(path: string, body: unknown): Promise<T> {
    return this.#call<T>("PATCH", path, { body });
  }
  delete<T>(path: string): Promise<T> {
    return this.#call<T>("DELETE", path, {});
  }

  /** Sends a form, such as an upload. */
  form<T>(path: string, form: FormData): Promise<T> {
    return this.#call<T>("POST", path, { form });
  }

  upload(file: File): Promise<Schemas["FileView"]> {
    const form = new FormData();
    form.append("file", file, file.name || "picture.png");
    return this.form("/files", form);
  }

  /** A download that needs the session. */
  async blob(path: string, query?: Query): Promise<Blob> {
    const response = await this.#fetch("GET", path, { query });
    return response.blob();
  }

  async #call<T>(method: string, path: string, call: Call): Promise<T> {
    const response = await this.#fetch(method, path, call);
    return (response.status === 204 ? undefined : await response.json()) as T;
  }

  async #fetch(method: string, path: string, { query, body, form, signal }: Call): Promise<Response> {
    const { token, language, onSignedOut } = this.#options;
    const headers: Record<string, string> = { "Accept-Language": language() };
    const bearer = token?.();
    if (token) {
      if (bearer) headers.Authorization = `Bearer ${bearer}`;
    } else {
      headers["X-Console"] = "1";
    }
    if (body !== undefined) headers["Content-Type"] = "application/json";
    let response: Response;
    try {
      response = await fetch(PREFIX + path + search(query), {
        method,
        headers,
        body: form ?? (body === undefined ? undefined : JSON.stringify(body)),
        credentials: token ? "omit" : "same-origin",
        signal,
      });
    } catch (error) {
      if ((error as Error).name === "AbortError") throw error;
      throw new Problem(0, { code: "unreachable", title: language().startsWith("zh") ? "无法连接服务器" : "The server cannot be reached" });
    }
    if (response.ok) return response;
    const problem = new Problem(response.status, await response.json().catch(() => ({})), response.headers.get("Retry-After"));
    if (response.status === 401 && problem.code !== "sign_in.failed") onSignedOut?.();
    throw problem;
  }
}

interface Call {
  query?: Query;
  body?: unknown;
  form?: FormData;
  signal?: AbortSignal;
}

function search(query: Query = {}): string {
  const pairs = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return pairs.length === 0 ? "" : `?${new URLSearchParams(pairs.map(([name, value]) => [name, String(value)]))}`;
}

/** Files come with the server's public address; the console asks the host it came from. */
export function local(url: string | undefined): string | undefined {
  if (!url) return undefined;
  try {
    const { pathname, search: query } = new URL(url, location.origin);
    return pathname.startsWith("/api/v1/files/") ? pathname + query : undefined;
  } catch {
    return undefined;
  }
}
