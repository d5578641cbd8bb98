/** Renaming and deleting a team; disabling and deleting a service account. */
import { TextInput } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import {
  deleteServiceAccount,
  deleteTeam,
  patchServiceAccount,
  patchTeam,
  type ServiceAccount,
  type Team,
} from '@/api/access';
import { Guarded } from '@/parts/action';
import { ConfirmDialog, FormDialog } from '@/parts/dialog';
import { complain, say } from '@/parts/toast';

export function TeamExtra({ team, close }: { team: Team; close: () => void }) {
  const queries = useQueryClient();
  const [asked, ask] = useState<'edit' | 'delete' | null>(null);
  const [name, setName] = useState(team.name);
  const [description, setDescription] = useState(team.description);
  const again = () => void queries.invalidateQueries({ queryKey: ['teams'] });
  return (
    <div style={{ display: 'grid', gap: 8 }}>
      {team.description && <p className="muted break">{team.description}</p>}
      <div className="row wrap">
        <Guarded permission="teams.write" onClick={() => ask('edit')}>
          Edit…
        </Guarded>
        <Guarded permission="teams.write" tone="quiet" onClick={() => ask('delete')}>
          Delete…
        </Guarded>
      </div>
      {asked === 'edit' && (
        <FormDialog
          title={`Edit ${team.name}`}
          open
          close={() => ask(null)}
          verb="Save"
          submit={async () => {
            await patchTeam(team.id, { name, description });
            say('Saved');
            again();
          }}
        >
          {(fault) => (
            <>
              <TextInput
                label="Name"
                required
                data-autofocus
                value={name}
                onChange={(e) => setName(e.currentTarget.value)}
                error={fault('name')}
              />
              <TextInput
                label="Responsibility"
                value={description}
                onChange={(e) => setDescription(e.currentTarget.value)}
                error={fault('description')}
              />
            </>
          )}
        </FormDialog>
      )}
      <ConfirmDialog
        title="Delete team"
        open={asked === 'delete'}
        close={() => ask(null)}
        verb={`Delete ${team.name}`}
        name={team.name}
        submit={async () => {
          await deleteTeam(team.id);
          say('Deleted');
          again();
          close();
        }}
      >
        Its members lose what they hold by it; items that belong to it belong to nobody.
      </ConfirmDialog>
    </div>
  );
}

export function AccountExtra({ account, close }: { account: ServiceAccount; close: () => void }) {
  const queries = useQueryClient();
  const [asked, ask] = useState(false);
  const again = () => {
    void queries.invalidateQueries({ queryKey: ['service-accounts'] });
    void queries.invalidateQueries({ queryKey: ['tokens'] });
  };
  const turn = async () => {
    try {
      await patchServiceAccount(account.id, { is_disabled: !account.is_disabled });
      say(account.is_disabled ? 'Enabled; it needs a new token' : 'Disabled; its tokens are rejected');
    } catch (error) {
      complain(error);
    }
    again();
  };
  return (
    <div style={{ display: 'grid', gap: 8 }}>
      {account.description && <p className="muted break">{account.description}</p>}
      <div className="row wrap">
        <Guarded permission="service_accounts.write" onClick={() => void turn()}>
          {account.is_disabled ? 'Enable' : 'Disable'}
        </Guarded>
        <Guarded permission="service_accounts.write" tone="quiet" onClick={() => ask(true)}>
          Delete…
        </Guarded>
      </div>
      <ConfirmDialog
        title="Delete service account"
        open={asked}
        close={() => ask(false)}
        verb={`Delete ${account.name}`}
        name={account.name}
        submit={async () => {
          await deleteServiceAccount(account.id);
          say('Deleted');
          again();
          close();
        }}
      >
        Its tokens are revoked immediately.
      </ConfirmDialog>
    </div>
  );
}
