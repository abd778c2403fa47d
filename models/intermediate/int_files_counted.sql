-- ephemeral: one model reads it, and a view would be one more query of each build
{{ config(materialized='ephemeral') }}

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

int_files_counted as (

    select
        files.file_id,
        files.file_name,
        files.is_counted,
        files.replaced_by_file_id,
        coalesce(rows_of_files.rows_read, 0) as rows_read,
        coalesce(rows_of_files.amount_read, cast(0 as decimal(28, 2))) as amount_read,
        coalesce(rejected_rows_of_files.rows_rejected, 0) as rows_rejected,
        files.batch_id

    from files

    left join rows_of_files on files.file_id = rows_of_files.file_id

    left join rejected_rows_of_files on files.file_id = rejected_rows_of_files.file_id

    -- ingestion set the others aside before a row of them was read
    where files.is_counted or rows_of_files.rows_read > 0

)

select * from int_files_counted
