/**
 * The service as the dashboard knows it after the login: who we are, the live connection, and questions by HTTP.
 */
import { createContext } from 'preact'
import { useContext } from 'preact/hooks'
import { type Client, ClientError, connect } from '../src/client/client.js'
import { type Action, maySend } from '../src/protocol/permissions.js'
import { Api, ApiError, type Who } from './api.js'
import { socketAddress } from './credential.js'
import { Store } from './store.js'

export type Link = 'live' | 'lost'

/** Where the service lives: the folder above this page. */
const ROOT = new URL('../', document.baseURI)

export class Service {
  readonly link = new Store<Link>('live')

  private constructor(
    readonly api: Api,
    readonly who: Who,
    readonly client: Client,
  ) {}

  /**
   * Lets somebody in. First by HTTP: a browser does not tell why a WebSocket was refused.
   * @throws ApiError, ClientError with the service's reason
   */
  static async open(credential: string | undefined, onEnd: (error: Error) => void): Promise<Service> {
    const api = new Api(ROOT, credential, onEnd)
    const who = await api.who()
    let service: Service | undefined
    const client = await connect({
      ...socketAddress(ROOT, credential),
      webSocket: WebSocket,
      onConnection: (state) => service?.link.set(state === 'lost' ? 'lost' : 'live'),
    })
    service = new Service(api, who, client)
    return service
  }

  /** Whether this would be refused: then there is no button for it, and no view. */
  may(action: Action): boolean {
    const { role, scopes } = this.who
    return maySend({ role, scopes: scopes ?? undefined }, action)
  }

  close(): void {
    this.client.close()
  }
}

const Context = createContext<Service | undefined>(undefined)
export const ServiceProvider = Context.Provider

export function useService(): Service {
  const service = useContext(Context)
  if (!service) throw new Error('a view was drawn before the login')
  return service
}

/** What went wrong, as a sentence for the person in front. */
export function reasonOf(error: unknown): string {
  if (error instanceof ApiError || error instanceof ClientError) return error.message
  return error instanceof TypeError ? 'The service does not answer' : String(error)
}
