-- a table: small, and read by every core model
{{ config(materialized='table') }}

with

files as (

    select * from {{ ref('int_files_counted') }}

),

judged as (

    select
        *,
        case
            when
                rows_read >= {{ rule_variable('too_bad_min_rows') }}
                and rows_rejected > rows_read * {{ rule_variable('too_bad_share') }}
                then concat(
                    'file_too_bad: ',
                    rows_rejected,
                    ' of ',
                    rows_read,
                    ' rows are rejected'
                )
            -- by an earlier build: that verdict lasts, even where the rules change
            when not is_counted
                then concat(
                    'file_too_bad: it was set aside whole when it was first built; ',
                    rows_rejected,
                    ' of ',
                    rows_read,
                    ' rows are rejected today, ',
                    'and quarantine replay --file reads it again'
                )
        end as file_reason

    from files

),

-- a new version that can be trusted takes the place of the old one; a bad one leaves it
trusted_versions as (

    select file_id

    from judged

    where file_reason is null

),

int_files_judged as (

    select
        judged.file_id,
        judged.file_name,
        judged.rows_read,
        judged.amount_read,
        judged.rows_rejected,
        judged.file_reason,
        judged.batch_id

    from judged

    left join trusted_versions on judged.replaced_by_file_id = trusted_versions.file_id

    where trusted_versions.file_id is null

)

select * from int_files_judged
