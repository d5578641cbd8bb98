/** A new channel, with only the fields that its kind needs. */
import { NumberInput, PasswordInput, SegmentedControl, Select, TagsInput, TextInput } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { type ChannelConfig, type ChannelSecrets, createChannel, type Subscription } from '@/api/notify';
import { FormDialog } from '@/parts/dialog';
import { say } from '@/parts/toast';

type Kind = ChannelConfig['type'];
type Fields = Record<string, string>;

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

export function AddChannel({ close }: { close: () => void }) {
  const queries = useQueryClient();
  const [kind, setKind] = useState<Kind>('email');
  const [fields, setFields] = useState<Fields>({ port: '587', security: 'starttls' });
  const [to, setTo] = useState<string[]>([]);
  const [severity, setSeverity] = useState<Subscription['min_severity']>('warning');
  const text = (name: string, fault: (f: string) => string | undefined) => ({
    value: fields[name] ?? '',
    onChange: (e: { currentTarget: { value: string } }) => setFields({ ...fields, [name]: e.currentTarget.value }),
    error: fault(`config.${name}`) ?? fault(`secrets.${name}`) ?? fault(name),
  });
  return (
    <FormDialog
      title="Add a channel"
      open
      close={close}
      verb="Add the channel"
      submit={async () => {
        await createChannel({
          name: fields.name ?? '',
          ...toConfig(kind, fields, to),
          is_enabled: true,
          subscription: { min_severity: severity, kinds: [], teams: [] },
        });
        void queries.invalidateQueries({ queryKey: ['channels'] });
        say('Added; send a test now');
      }}
    >
      {(fault) => (
        <>
          <SegmentedControl
            size="xs"
            aria-label="Kind"
            value={kind}
            onChange={(v) => setKind(v as Kind)}
            data={[
              { value: 'email', label: 'E-mail' },
              { value: 'webhook', label: 'Webhook' },
              { value: 'slack', label: 'Slack' },
              { value: 'matrix', label: 'Matrix' },
            ]}
          />
          <TextInput label="Name" required data-autofocus {...text('name', fault)} />
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
              <PasswordInput label="Password" autoComplete="new-password" {...text('password', fault)} />
            </>
          )}
          {kind === 'webhook' && (
            <>
              <TextInput label="Address" placeholder="https://hooks.example.org/ops" required {...text('url', fault)} />
              <PasswordInput
                label="Signing key"
                description="Each request is signed with it."
                autoComplete="new-password"
                {...text('signing_key', fault)}
              />
            </>
          )}
          {kind === 'slack' && (
            <PasswordInput
              label="Address of the incoming webhook"
              description="Slack, Mattermost, Rocket.Chat; kept as a secret."
              required
              autoComplete="new-password"
              {...text('url', fault)}
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
              <PasswordInput
                label="Access token"
                required
                autoComplete="new-password"
                {...text('access_token', fault)}
              />
            </>
          )}
          <Select
            label="From this severity on"
            data={['info', 'warning', 'critical']}
            value={severity}
            onChange={(v) => setSeverity((v ?? 'warning') as Subscription['min_severity'])}
          />
        </>
      )}
    </FormDialog>
  );
}
