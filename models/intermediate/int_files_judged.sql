-- a table: small, and read by every core model
{{ config(materialized='table') }}

with

files as (

    select * from {{ ref('stg_pos__files') }}

    where
        {{ is_in_scope('batch_id') }}
        and (is_counted or status = 'E')

),

sales as (

    select * from {{ ref('stg_pos__sales') }}

    where {{ is_in_scope('batch_id') }}

),

rejected_sales as (

    select * from {{ ref('int_sales_rejected') }}

),

rows_of_files as (

    select
        file_id,
        count(*) as rows_read,
        sum(total_cost) as amount_read

    from sales

    group by file_id

),

rejected_rows_of_files as (

    select
        file_id,
        count(*) as rows_rejected

    from rejected_sales

    group by file_id

),

counted as (

    select
        files.file_id,
        files.file_name,
        files.is_counted,
        files.replaced_by_file_id,
        files.batch_id,
        coalesce(rows_of_files.rows_read, 0) as rows_read,
        coalesce(rows_of_files.amount_read, cast(0 as decimal(28, 2))) as amount_read,
        coalesce(rejected_rows_of_files.rows_rejected, 0) as rows_rejected

    from files

    left join rows_of_files on files.file_id = rows_of_files.file_id

    left join rejected_rows_of_files on files.file_id = rejected_rows_of_files.file_id

    -- ingestion set the others aside before a row of them was read
    where files.is_counted or rows_of_files.rows_read > 0

),

judged as (

    select
        file_id,
        file_name,
        rows_read,
        amount_read,
        rows_rejected,
        case
            when
                rows_read >= {{ var('too_bad_min_rows') }}
                and rows_rejected > rows_read * {{ var('too_bad_share') }}
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
        end as file_reason,
        replaced_by_file_id,
        batch_id

    from counted

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
