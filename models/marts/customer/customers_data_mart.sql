-- partitioned by month so that an increment writes the touched months only
{{ config(
    partition_by=['sales_date_month'],
    pre_hook='{{ drop_touched_months("sales_date_month") }}'
) }}

with

sales as (

    select * from {{ ref('customer_sales') }}

    {%- if is_incremental() %}

    where {{ is_in_touched_month('sales_month') }}
    {%- endif %}

),

customers as (

    select * from {{ ref('dim_customers') }}

),

customer_months as (

    select
        customer_id,
        sales_month,
        sum(total_cost) as total_sales,
        count(*) as sales_count,
        -- a day of the month is one bit, so the number of bits set is the number of
        -- days
        bit_count(bit_or(shiftleft(1, day(sales_date) - 1))) as days_with_sales,
        min(sales_date) as first_sales_date,
        max(sales_date) as last_sales_date

    from sales

    group by
        customer_id,
        sales_month

),

customers_data_mart as (

    select
        customer_months.customer_id,
        {{ or_unknown('customers.full_name', 'customers.customer_id') }} as full_name,
        {{ or_unknown('customers.address', 'customers.customer_id') }} as address,
        {{ or_unknown('customers.phone_number', 'customers.customer_id') }}
            as phone_number,
        customer_months.sales_month as sales_date_month,
        customer_months.total_sales,
        customer_months.sales_count,
        customer_months.days_with_sales,
        customer_months.first_sales_date,
        customer_months.last_sales_date,
        coalesce(customers.is_known, false) as is_known_customer

    from customer_months

    left join customers on customer_months.customer_id = customers.customer_id

    -- one task writes one month, in the order of its key in the database
    distribute by sales_date_month
    sort by sales_date_month, customer_id

)

select * from customers_data_mart
