-- If this warns, sales count for a customer, seller or store that the database does not
-- know yet.
{{ config(severity='warn') }}

with

months as (

    select
        'customer' as dimension,
        customer_id as member_id,
        sales_count,
        total_sales
    from {{ ref('customers_data_mart') }}
    where not is_known_customer and {{ is_in_touched_month('sales_date_month') }}

    union all

    select
        'seller' as dimension,
        sales_person_id as member_id,
        sales_count,
        total_sales
    from {{ ref('sales_team_data_mart') }}
    where not is_known_sales_person and {{ is_in_touched_month('sales_month') }}

    union all

    select
        'store' as dimension,
        store_id as member_id,
        sales_count,
        total_sales
    from {{ ref('sales_team_data_mart') }}
    where not is_known_store and {{ is_in_touched_month('sales_month') }}

)

select
    dimension,
    member_id,
    sum(sales_count) as sales_count,
    sum(total_sales) as total_sales

from months

group by
    dimension,
    member_id
