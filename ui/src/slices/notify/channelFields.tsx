/** The fields that each kind of channel needs, and what the server is sent from them. */
import { NumberInput, PasswordInput, Select, TagsInput, TextInput } from '@mantine/core';
import type { Channel, ChannelConfig, ChannelSecrets } from '@/api/notify';

export type Kind = ChannelConfig['type'];
export type Fields = Record<string, string>;
type Fault = (field: string) => string | undefined;

/** What the server is sent, from what was typed. */
export function toConfig(kind: Kind, f: Fields, to: string[]): { config: ChannelConfig; secrets: ChannelSecrets } {
  const secrets: ChannelSecrets = {};
  const secret = (name: keyof ChannelSecrets, value: string | undefined) => {
    if (value) secrets[name] = value;
  };
  switch (kind) {
    case 'email':
      secret('password', f.password);
      return {
        config: {
          type: 'email',
          host: f.host ?? '',
          port: Number(f.port || 587),
          security: (f.security || 'starttls') as 'starttls',
          username: f.username || null,
          ehlo_name: f.ehlo_name || null,
          from: f.from ?? '',
          to,
        },
        secrets,
      };
    case 'webhook':
      secret('signing_key', f.signing_key);
      return { config: { type: 'webhook', url: f.url ?? '' }, secrets };
    case 'matrix':
      secret('access_token', f.access_token);
      return { config: { type: 'matrix', homeserver: f.homeserver ?? '', room: f.room ?? '' }, secrets };
    default:
      secret('url', f.url);
      return { config: { type: 'slack' }, secrets };
  }
}

/** What was typed, from what the server holds; secrets are never told. */
export function fromChannel(channel: Channel): { fields: Fields; to: string[] } {
  const c = channel.config;
  const fields: Fields = { name: channel.name };
  if (c.type === 'email') {
    Object.assign(fields, { host: c.host, port: String(c.port), security: c.security, from: c.from });
    fields.username = c.username ?? '';
    fields.ehlo_name = c.ehlo_name ?? '';
    return { fields, to: c.to };
  }
  if (c.type === 'webhook') fields.url = c.url;
  if (c.type === 'matrix') Object.assign(fields, { homeserver: c.homeserver, room: c.room });
  return { fields, to: [] };
}

interface Props {
  kind: Kind;
  fields: Fields;
  setFields: (fields: Fields) => void;
  to: string[];
  setTo: (to: string[]) => void;
  fault: Fault;
  /** Secrets that the server keeps already: an empty field leaves them. */
  kept: string[];
}

export function ChannelFields({ kind, fields, setFields, to, setTo, fault: faultOf, kept }: Props) {
  const text = (name: string, fault: Fault) => ({
    value: fields[name] ?? '',
    onChange: (e: { currentTarget: { value: string } }) => setFields({ ...fields, [name]: e.currentTarget.value }),
    error: fault(`config.${name}`) ?? fault(`secrets.${name}`) ?? fault(name),
  });
  const secret = (name: string) => ({
    autoComplete: 'new-password',
    placeholder: kept.includes(name) ? 'set; type to replace' : undefined,
    ...text(name, faultOf),
  });
  const fault = faultOf;
  return (
    <>
      {kind === 'email' && (
        <>
          <div className="row" style={{ alignItems: 'flex-start' }}>
            <TextInput
              className="grow"
              label="Mail server"
              placeholder="mail.example.org"
              required
              {...text('host', fault)}
            />
            <NumberInput
              label="Port"
              w={90}
              value={Number(fields.port)}
              onChange={(v) => setFields({ ...fields, port: String(v) })}
              error={fault('config.port')}
            />
            <Select
              label="Security"
              w={120}
              data={['starttls', 'tls', 'none']}
              value={fields.security ?? 'starttls'}
              onChange={(v) => setFields({ ...fields, security: v ?? 'starttls' })}
            />
          </div>
          <TextInput label="From" placeholder="Mainstay <mainstay@example.org>" required {...text('from', fault)} />
          <TagsInput
            label="To"
            placeholder="oncall@example.org"
            value={to}
            onChange={setTo}
            error={fault('config.to')}
          />
          <TextInput label="User name" autoComplete="off" {...text('username', fault)} />
          <PasswordInput label="Password" {...secret('password')} />
          <TextInput
            label="Name for EHLO"
            description="Empty: the host of the public address"
            placeholder="mainstay.example.org"
            {...text('ehlo_name', fault)}
          />
        </>
      )}
      {kind === 'webhook' && (
        <>
          <TextInput label="Address" placeholder="https://hooks.example.org/ops" required {...text('url', fault)} />
          <PasswordInput label="Signing key" description="Each request is signed with it." {...secret('signing_key')} />
        </>
      )}
      {kind === 'slack' && (
        <PasswordInput
          label="Incoming webhook URL"
          description="Slack, Mattermost, Rocket.Chat; stored as a secret."
          required={!kept.includes('url')}
          {...secret('url')}
        />
      )}
      {kind === 'matrix' && (
        <>
          <TextInput
            label="Home server"
            placeholder="https://matrix.example.org"
            required
            {...text('homeserver', fault)}
          />
          <TextInput label="Room" placeholder="!abc:example.org" required {...text('room', fault)} />
          <PasswordInput label="Access token" required={!kept.includes('access_token')} {...secret('access_token')} />
        </>
      )}
    </>
  );
}
